"""Make what the demo page shows after each action of its user."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.predict.demo.finder import Finder, PhotoResult
from hmlpe.predict.demo.markup import figure_html, hint_html, joint_table_html, json_link_html, message_html
from hmlpe.predict.draw import draw_maps, draw_people


class Settings(NamedTuple):
    """The user's settings on the page: the arguments of the same names of `Finder.__call__`."""

    mode: str
    box: str
    max_people: int


class View(NamedTuple):
    """The content of the page for a photo.

    Attributes:
        result: the photo and its people, for the next action; None if there is no photo.
        people: the number of people that the user can choose from.
        status, drawn, link, chosen: the page's elements, as HTML: what happened, the photo with the poses, a link to
            the poses as a file, the maps and joints of one person.
    """

    result: PhotoResult | None
    people: int
    status: str
    drawn: str
    link: str
    chosen: str


class Viewer:
    """Makes the page's content after each action of the user.

    Args:
        finder: finds the people in photos, and their poses.
    """

    def __init__(self, finder: Finder) -> None:
        self.finder, self.card = finder, finder.card

    def load_photo(self, path: Path, settings: Settings) -> View:
        """Read an uploaded photo, find the people in it, and return its view.

        The uploaded copy is deleted as soon as it is read.
        """
        try:
            image = read_image(path.parent, path.name, upright=True)
        except UserError as error:  # its message names the folder of the uploaded copy
            return self._error_view(str(error).replace(f"{path.parent}/", ""))
        finally:
            path.unlink(missing_ok=True)
        return self.update_view(PhotoResult(path.name, image), settings)

    def update_view(self, result: PhotoResult, settings: Settings) -> View:
        """Return the view of a result's photo with these settings; the people in it are found anew."""
        try:
            result = self.finder(result.name, result.image, *settings)
        except UserError as error:
            return self._error_view(str(error), result)
        summary = result.summary()
        return View(
            result,
            people=len(result.people),
            status=message_html(summary),
            drawn=figure_html(draw_people(result.image, result.people, self.card.skeleton), alt=summary),
            link=json_link_html(result.poses_json(self.card), result.name),
            chosen=self.show_person(result, 0),
        )

    def show_person(self, result: PhotoResult | None, index: int | None) -> str:
        """Return the maps and joints of one person as HTML; empty if there is no such person."""
        if result is None or index is None or index >= len(result.people):
            return ""
        person, who = result.people[index], f"person {index + 1}"
        table = joint_table_html(person, f"Joints of {who}", self.card)
        if person.part_maps is None:
            return table
        words = f"Where the part detectors see {who}"
        return (
            figure_html(draw_maps(result.image, person, self.card), alt=words, caption=words, css_class="maps") + table
        )

    def _error_view(self, text: str, result: PhotoResult | None = None) -> View:
        """Return a view with an error message; the result, if any, lets the user try the photo with other settings."""
        return View(result, people=0, status=message_html(text, is_error=True), drawn=hint_html(), link="", chosen="")

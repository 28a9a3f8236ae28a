"""What the page shows after each thing that its user does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hmlpe.data.sources.images import read_image
from hmlpe.errors import UserError
from hmlpe.predict.demo.finder import Answer, Finder
from hmlpe.predict.demo.markup import figure, hint, joint_table, json_link, message
from hmlpe.predict.draw import draw_maps, draw_people


class Settings(NamedTuple):
    """Those of `Finder`."""

    way: str
    box: str
    most: int


class View(NamedTuple):
    """All that the page shows of a photo.

    Attributes:
        answer: to go on with; None if there is no photo.
        people: how many there are to choose from.
        status, drawn, link, chosen: HTML: what happened, the photo, the poses as a file, one person's maps and joints.
    """

    answer: Answer | None
    people: int
    status: str
    drawn: str
    link: str
    chosen: str


class Viewer:
    """Turns what the user does into views."""

    def __init__(self, finder: Finder) -> None:
        self.finder, self.card = finder, finder.card

    def take(self, path: Path, settings: Settings) -> View:
        """A new photo. The copy of it that the browser sent is deleted as soon as it is read."""
        try:
            image = read_image(path.parent, path.name, upright=True)
        except UserError as error:  # it names the copy
            return self._nothing(str(error).replace(f"{path.parent}/", ""))
        finally:
            path.unlink(missing_ok=True)
        return self.look(Answer(path.name, image), settings)

    def look(self, answer: Answer, settings: Settings) -> View:
        """The photo of this answer by these settings, whatever the people in the answer."""
        try:
            answer = self.finder(answer.name, answer.image, *settings)
        except UserError as error:
            return self._nothing(str(error), answer)
        summary = answer.summary()
        return View(
            answer,
            people=len(answer.people),
            status=message(summary),
            drawn=figure(draw_people(answer.image, answer.people, self.card.skeleton), alt=summary),
            link=json_link(answer.poses_json(self.card), answer.name),
            chosen=self.choose(answer, 0),
        )

    def choose(self, answer: Answer | None, index: int | None) -> str:
        """Maps and joints of one person; nothing if there is no such person."""
        if answer is None or index is None or index >= len(answer.people):
            return ""
        person, who = answer.people[index], f"person {index + 1}"
        table = joint_table(person, f"Joints of {who}", self.card)
        if person.part_maps is None:
            return table
        words = f"Where the part detectors see {who}"
        return figure(draw_maps(answer.image, person, self.card), alt=words, caption=words, kind="maps") + table

    def _nothing(self, text: str, answer: Answer | None = None) -> View:
        """Why there is no picture; a photo that could be read may be looked at by other settings."""
        return View(answer, people=0, status=message(text, wrong=True), drawn=hint(), link="", chosen="")

"""Match the predictions of a file with the annotated people, and check the settings that the readers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from hmlpe.errors import UserError
from hmlpe.evaluate.people import Truth
from hmlpe.geometry import iou

Box = Float[np.ndarray, " 4"]


def parse_bool_setting(value: object, key: str) -> bool:
    """Return the value of setting `key` if it is true or false. Raises UserError if it is anything else."""
    if not isinstance(value, bool):
        raise UserError(f"predictions_form.{key}: must be true or false, got {value!r}")
    return value


def parse_origin_setting(value: object) -> int:
    """Return the value of the setting `origin`, the coordinate of the first pixel's centre, if it is 0 or 1.

    Raises:
        UserError: it is anything else.
    """
    if isinstance(value, bool) or value not in (0, 1):
        raise UserError(f"predictions_form.origin: must be 0, or 1 for pixels counted from 1, got {value!r}")
    return int(str(value))


def parse_name_setting(value: object, key: str) -> str | None:
    """Return the value of setting `key` if it is a name or null. Raises UserError if it is anything else."""
    if value is not None and not (isinstance(value, str) and value):
        raise UserError(f"predictions_form.{key}: must be a name, or null, got {value!r}")
    return value


def override_text(form_name: str, key: str) -> str:
    """Return the command line's overrides that set `key` of a reader to true, e.g. allow_missing of csv."""
    return f"predictions_form={form_name} predictions_form.{key}=true"


class PeopleByImage:
    """Groups the people of a `Truth` by their image.

    Attributes:
        of_image: name of an image -> the indices of its people in the `Truth`, in the annotation's order.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.indices_by_image: dict[str, list[int]] = {}
        for person, image in enumerate(truth.images):
            self.indices_by_image.setdefault(image, []).append(person)
        self._short: dict[str, list[str]] = {}
        for image in self.indices_by_image:
            self._short.setdefault(PurePosixPath(image).name, []).append(image)

    def find_image(self, name: str, where: str) -> str | None:
        """Return the test image of this name, or None if there is none.

        The folder may be left out if only one image has the file name; with another folder it is another image.

        Args:
            name: the name in the file of predictions.
            where: the place in that file, for the error message.

        Raises:
            UserError: several images have this file name, and the folder is left out.
        """
        if name in self.indices_by_image:
            return name
        images = self._short.get(name, [])
        if len(images) > 1:
            raise UserError(
                f"{where}: {name} is the name of {len(images)} images, e.g. {images[0]}; give the folder too"
            )
        return images[0] if images else None

    def unknown_image_error(self, name: str, where: str, form_name: str) -> UserError:
        """Return the error that says that an image of the file is not a test image.

        Args:
            name: the image's name in the file of predictions.
            where: the place in that file.
            form_name: the name of the config of predictions_form, for the override that the message proposes.
        """
        first = next(iter(self.indices_by_image))
        return UserError(
            f"{where}: {name[:80]} is not one of the {len(self.indices_by_image)} test images of "
            f"{self._truth.data}, e.g. {first}; remove it, or leave all such out with "
            f"{override_text(form_name, 'allow_unknown')}"
        )

    def check_nobody_missing(self, missing_people: Sequence[int], path: Path, expected: str, form_name: str) -> None:
        """Raise UserError if the file lacks predictions for some people.

        Args:
            missing_people: the indices of the people that it lacks.
            path: the file.
            expected: what the file should have for each person, e.g. line.
            form_name: the name of the config of predictions_form, for the override that the message proposes.
        """
        if missing_people:
            image = self._truth.images[missing_people[0]]
            number = self.indices_by_image[image].index(missing_people[0]) + 1
            raise UserError(
                f"{path}: no {expected} for {len(missing_people)} of {len(self._truth)} test people, "
                f"the first is person {number} of {image} "
                f"({self._truth.locations[missing_people[0]]}); add them, or count them as wrong with "
                f"{override_text(form_name, 'allow_missing')}"
            )


def check_any_matched(
    path: Path, truth: Truth, windows_by_person: Mapping[int, Sequence[Box]], matched_count: int
) -> None:
    """Raise UserError if the file has windows in test images, and not one of them matches an annotated person.

    A file without any window is valid: it says that nobody was detected.

    Args:
        path: the file.
        truth: the ground truth.
        windows_by_person: annotated person -> the windows that the file has in this person's image.
        matched_count: the number of annotated people with a matching window.
    """
    pairs = [(truth.window_px[person], box) for person, boxes in windows_by_person.items() for box in boxes]
    if matched_count or not pairs:
        return
    best = max(iou(true, box) for true, box in pairs)
    sizes = [np.sqrt((box[2:] - box[:2]).prod() / (true[2:] - true[:2]).prod()) for true, box in pairs]
    raise UserError(
        f"{path}: none of {len(truth)} test people of {truth.data} is found: no window has an IoU above 0.5 with the "
        f"true one (the best {best:.2f}), and they are {np.nanmedian(sizes):.2g} times as large; are the pixels those "
        "of the set's own images, and the windows x0 y0 x1 y1?"
    )

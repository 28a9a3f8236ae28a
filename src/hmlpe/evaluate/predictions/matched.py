"""Whose prediction is it? By name, by row or by overlap, as the file has it and the user says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from hmlpe.errors import UserError
from hmlpe.evaluate.people import Truth
from hmlpe.geometry import iou


def flag(value: object, key: str) -> bool:
    """A setting that is true or false. Raises UserError if it is anything else."""
    if not isinstance(value, bool):
        raise UserError(f"predictions_form.{key}: must be true or false, got {value!r}")
    return value


def origin_of(value: object) -> int:
    """The coordinate of the first pixel's centre in the file. Raises UserError if it is neither 0 nor 1."""
    if isinstance(value, bool) or value not in (0, 1):
        raise UserError(f"predictions_form.origin: must be 0, or 1 for pixels counted from 1, got {value!r}")
    return int(str(value))


def name_of(value: object, key: str) -> str | None:
    """A setting that is a name, or null. Raises UserError if it is anything else."""
    if value is not None and not (isinstance(value, str) and value):
        raise UserError(f"predictions_form.{key}: must be a name, or null, got {value!r}")
    return value


def allow(form: str, key: str) -> str:
    """How a form is told to go on: words for the command line."""
    return f"predictions_form={form} predictions_form.{key}=true"


class People:
    """The people of a `Truth`, by image.

    Attributes:
        of_image: name of an image -> its people, as rows of the truth, in the annotation's order.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.of_image: dict[str, list[int]] = {}
        for person, image in enumerate(truth.images):
            self.of_image.setdefault(image, []).append(person)
        self._short: dict[str, list[str]] = {}
        for image in self.of_image:
            self._short.setdefault(PurePosixPath(image).name, []).append(image)

    def image(self, name: str, where: str) -> str | None:
        """The image that is meant, None if it is none of the truth's.

        A name without a folder is enough where one image alone has it; with another folder it is another image.

        Raises:
            UserError: a name without a folder is that of several.
        """
        if name in self.of_image:
            return name
        images = self._short.get(name, [])
        if len(images) > 1:
            raise UserError(
                f"{where}: {name} is the name of {len(images)} images, e.g. {images[0]}; give the folder too"
            )
        return images[0] if images else None

    def unknown(self, name: str, where: str, form: str) -> UserError:
        """What to say of an image that is none of the truth's."""
        first = next(iter(self.of_image))
        return UserError(
            f"{where}: {name[:80]} is none of the {len(self.of_image)} test images of {self._truth.data}, e.g. "
            f"{first}; remove it, or leave all such out with {allow(form, 'allow_unknown')}"
        )

    def check_missing(self, missing: Sequence[int], path: Path, what: str, form: str) -> None:
        """Raise UserError if people are missing of whom the file had to have `what`."""
        if missing:
            image = self._truth.images[missing[0]]
            number = self.of_image[image].index(missing[0]) + 1
            raise UserError(
                f"{path}: no {what} for {len(missing)} of {len(self._truth)} test people, the first is person {number} "
                f"of {image} ({self._truth.wheres[missing[0]]}); add them, or count them as wrong with "
                f"{allow(form, 'allow_missing')}"
            )


Box = Float[np.ndarray, " 4"]


def check_matched(path: Path, truth: Truth, windows: Mapping[int, Sequence[Box]], matched: int) -> None:
    """Raise UserError if the file has people in images of annotated ones, and nobody is found.

    A file that has nobody in any image says that nobody is found, which is an answer.

    Args:
        windows: person -> the windows that the file has in this person's image.
        matched: how many people are found.
    """
    pairs = [(truth.window_px[person], box) for person, boxes in windows.items() for box in boxes]
    if matched or not pairs:
        return
    best = max(iou(true, box) for true, box in pairs)
    sizes = [np.sqrt((box[2:] - box[:2]).prod() / (true[2:] - true[:2]).prod()) for true, box in pairs]
    raise UserError(
        f"{path}: nobody of {len(truth)} test people of {truth.data} is found: no window has an IoU above 0.5 with the "
        f"true one (the best {best:.2f}), and they are {np.nanmedian(sizes):.2g} times as large; are the pixels those "
        "of the set's own images, and the windows x0 y0 x1 y1?"
    )

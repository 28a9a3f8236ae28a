"""The annotated people that a file of predictions speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hmlpe.errors import UserError
from hmlpe.evaluate.predictions.options import allow
from hmlpe.evaluate.truth import Truth


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

"""The common record of all data sets: one annotated person in one image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8

from hmlpe.errors import UserError
from hmlpe.spelling import is_plain

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Attribute:
    """The definition of a property of people, such as age or the direction they face, on which tasks can be trained.

    Attributes:
        name: letters, digits and _.
        classes: names of the classes; a person's value is the index of one. (): the value is a number, such as an age.

    Raises:
        UserError: the name is not valid, or a class name is empty or used twice.
    """

    name: str
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z_]\w*", self.name, re.ASCII | re.IGNORECASE):
            raise UserError(
                f"data.source.attributes: names must consist of letters, digits and _, got {self.name[:60]!r}"
            )
        named = all(one.strip() and one.lower() != "nan" and is_plain(one) for one in self.classes)  # NaN: unknown
        if not named or len(set(self.classes)) != len(self.classes):
            raise UserError(
                f"data.source.attributes.{self.name}.classes: must be different words, got {list(self.classes)}"
            )

    def allows(self, value: float) -> bool:
        """Return whether a person may have this value: an index of a class, or any finite number; NaN means unknown."""
        if np.isnan(value):
            return True
        return value in range(len(self.classes)) if self.classes else abs(value) <= float(np.finfo(np.float32).max)

    def describe(self, value: float) -> str:
        """Return a text of the attribute's name and a known value, e.g. "facing left"."""
        return f"{self.name} {self.classes[int(value)] if self.classes else f'{value:g}'}"

    def as_dict(self) -> dict[str, Any]:
        """Return the definition as a dictionary of JSON values, for manifests."""
        return {"name": self.name, "classes": list(self.classes)}


@dataclass(frozen=True, eq=False)
class Person:
    """An annotated person in an image; coordinates are image pixels, pixel centres at integers, NaN where unknown.

    Attributes:
        image: name of the image, relative to the set's image folder; people of one image share it.
        where: the annotation file and the record in it, for messages ("examples.mat, record 17").
        split: the split that the set itself defines.
        joints_px: (joint, 2) in the skeleton's order; left is the person's left.
        occluded: (joint,) mask of the joints that the set marks as occluded; they may have coordinates.
        detection_px: (4,) x0 y0 x1 y1 of a person detector's box, NaN if this person was not detected.
        torso_px: |left shoulder - right hip|, which torso-normalised protocols divide by, NaN where unknown.
        sticks_px: (stick, 4) x1 y1 x2 y2, the set's own sticks if it has them, else (0, 4).
        faces_backwards: whether the person's left side appears on the image's left.
        torso_swapped_px: |right shoulder - right hip|: the same length after MODEC's swap of left and right, which
            applies to shoulders, elbows and wrists but not to the hips (FACTS 6).
        window_px: (4,) x0 y0 x1 y1 of a box of the person that the annotator drew, or of the window that a perfect
            upper-body detector would give, computed from the ground truth; NaN if the set has neither.
        identity: who the person is, if the set knows; the same in all images of this person, else empty.
        shot: name of the shot or sequence that the image is a frame of; empty where the set does not tell: then the
            image is taken to be a shot of its own.
        attributes: name of an attribute of the source -> this person's value; NaN or missing where unknown.
    """

    image: str
    where: str
    split: Split
    joints_px: Float[np.ndarray, "joint 2"]
    occluded: Bool[np.ndarray, " joint"]
    detection_px: Float[np.ndarray, " 4"]
    torso_px: float
    sticks_px: Float[np.ndarray, "stick 4"]
    faces_backwards: bool
    torso_swapped_px: float = float("nan")
    window_px: Float[np.ndarray, " 4"] = field(default_factory=lambda: np.full(4, np.nan))
    identity: str = ""
    shot: str = ""
    attributes: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Source(Protocol):
    """The interface of a reader of a data set, as its authors distribute it.

    A source whose people have attributes lists them in `attributes`, a sequence of `Attribute`; see `attributes_of`.
    """

    name: str

    def people(self) -> Sequence[Person]:
        """Return all annotated people, in the set's order. Raises UserError, with file and record, for invalid data."""
        ...

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        """Return the pixels of the image with this name, in RGB. Raises UserError if it is missing or broken."""
        ...

    def missing_images(self) -> Sequence[str]:
        """Return the names of annotated images whose files are missing."""
        ...

    def skipped(self) -> Mapping[str, int]:
        """Return reason (e.g. a crowd) -> number of annotations that `people` leaves out for this reason."""
        ...

    def fingerprint(self) -> str:
        """Return a digest of all that determines the people: annotation files or generator settings."""
        ...


def attributes_of(source: Source) -> tuple[Attribute, ...]:
    """Return the definitions of the attributes that the source's people have; empty if there are none."""
    return tuple(getattr(source, "attributes", ()))

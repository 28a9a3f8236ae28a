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
    """A property of a person that a reader passes on to the sample, for tasks that request it by name.

    Attributes:
        name: letters, digits and _.
        classes: names of the classes, of which a person's value is an index; (): the value is a measurement, such as an
            age.

    Raises:
        UserError: the name is not valid, or a class has no name or the name of another.
    """

    name: str
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z_]\w*", self.name, re.ASCII | re.IGNORECASE):
            raise UserError(
                f"data.source.attributes: the name of one must be of letters, digits and _, got {self.name[:60]!r}"
            )
        named = all(one.strip() and one.lower() != "nan" and is_plain(one) for one in self.classes)  # NaN: unknown
        if not named or len(set(self.classes)) != len(self.classes):
            raise UserError(
                f"data.source.attributes.{self.name}.classes: must be different words, got {list(self.classes)}"
            )

    def holds(self, value: float) -> bool:
        """Return whether a person may have this value: the index of a class, or any finite number; NaN is unknown."""
        if np.isnan(value):
            return True
        return value in range(len(self.classes)) if self.classes else abs(value) <= float(np.finfo(np.float32).max)

    def shown(self, value: float) -> str:
        """Return the name with the value, e.g. "facing left"; the value must be known."""
        return f"{self.name} {self.classes[int(value)] if self.classes else f'{value:g}'}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain containers, for manifests."""
        return {"name": self.name, "classes": list(self.classes)}


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one image. Coordinates are image pixels (x, y), pixel centres at integers, NaN where unknown.

    Attributes:
        image: name of the image, relative to the set's image folder; people of one image share it.
        where: the record in its annotation file, for messages ("examples.mat, record 17").
        split: the split that the set itself defines.
        joints_px: (joint, 2) in the skeleton's order, left = the person's left.
        occluded: (joint,) marked occluded by the set; such joints may have coordinates.
        detection_px: (4,) x0 y0 x1 y1 of a person detector's box, NaN if this person was not detected.
        torso_px: |left shoulder - right hip|, which torso-normalised protocols divide by, NaN where unknown.
        sticks_px: (stick, 4) x1 y1 x2 y2, the set's own sticks if it has them, else (0, 4).
        faces_backwards: the person's left side appears on the image's left.
        torso_swapped_px: |right shoulder - right hip|: the same length after MODEC's swap of left and right, which
            applies to shoulders, elbows and wrists but not to the hips (FACTS 6).
        window_px: (4,) a box of the person that the annotator drew, or that a perfect detector would give, made from
            the ground truth; NaN where the set has no rule for one.
        identity: who the person is, if the set knows; the same in all images of this person, else empty.
        shot: the shot or sequence that the image is a frame of, a label without further meaning; empty where the set
            does not tell: then the image is taken to be a shot of its own.
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
    """A data set in the form in which it is distributed.

    A source whose people have attributes lists them in `attributes`, a sequence of `Attribute`; see `attributes_of`.
    """

    name: str

    def people(self) -> Sequence[Person]:
        """Return every annotated person, in the set's order. Raises UserError naming file and record."""
        ...

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        """Return the RGB image of that name. Raises UserError if it is missing or broken."""
        ...

    def missing_images(self) -> Sequence[str]:
        """Return the names of annotated images that are missing."""
        ...

    def skipped(self) -> Mapping[str, int]:
        """Return reason -> number of annotations that are not people of this set, e.g. crowds."""
        ...

    def fingerprint(self) -> str:
        """Return a digest of the data that the people are made from (annotation file or generator settings)."""
        ...


def attributes_of(source: Source) -> tuple[Attribute, ...]:
    """Return the attributes that the people of the source have; empty if it lists none."""
    return tuple(getattr(source, "attributes", ()))

"""The generated data set as a source of people and images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, UInt8

from hmlpe.data.record import Person, Split
from hmlpe.data.sources.embedded.figure import Wardrobe, person_layers, random_wardrobe
from hmlpe.data.sources.embedded.pose import JOINTS, NECK, Body, sample_body, unit_vector
from hmlpe.data.sources.embedded.scene import (
    Painter,
    add_camera_effects,
    layers_behind,
    layers_in_front,
    paint_background,
)
from hmlpe.data.sources.embedded.shapes import Layer
from hmlpe.data.sources.embedded.style import Style
from hmlpe.errors import UserError

VERSION: Final = 1  # increase it with every change of a pixel or label, as caches depend on it
_SPLITS: Final[tuple[Split, Split]] = ("train", "test")


@dataclass(frozen=True, eq=False)
class ImagePlan:
    """The contents of an image, before it is painted: the annotated person and what is in front of them.

    Attributes:
        body: joints and proportions.
        wardrobe: the person's materials.
        layers: the person and everything in front of it, from back to front.
        detection_px: (4,) simulated detection x0 y0 x1 y1.
    """

    body: Body
    wardrobe: Wardrobe
    layers: list[Layer]
    detection_px: Float[np.ndarray, " 4"]

    @property
    def occluded(self) -> Bool[np.ndarray, " 8"]:
        """Return a mask (8,) of the joints that are hidden by a layer to which they do not belong."""
        hidden = np.zeros(len(JOINTS), dtype=bool)
        for layer in self.layers:
            hidden |= layer.covers(self.body.joints_px)
            hidden[list(layer.own_joints)] = False
        return hidden


class EmbeddedSource:
    """The data source of generated upper bodies, one person per image.

    Equal settings give equal pixels and joints, in whichever order the images are requested.

    An image depends only on the seed, its own name, image_px and style, so adding images does not change others.

    Args:
        train: number of training images.
        test: number of test images.
        seed: seed of all random numbers.
        image_px: side of the square images.
        style: constants of the generator that set the difficulty; None: the defaults, for which results are reported.

    Raises:
        UserError: a setting is invalid.
    """

    name = "embedded"

    def __init__(
        self,
        train: object = 2000,  # object: a configuration may contain anything; invalid values are refused
        test: object = 500,
        seed: object = 0,
        image_px: object = 160,
        style: Style | None = None,
    ) -> None:
        self.counts = {
            "train": _checked_whole_number("train", train, 0, 10**7),
            "test": _checked_whole_number("test", test, 0, 10**7),
        }
        if not any(self.counts.values()):
            raise UserError("embedded data: train and test are both 0, there is nothing to draw")
        self.seed, self.image_px = (
            _checked_whole_number("seed", seed, 0, 2**32 - 1),
            _checked_whole_number("image_px", image_px, 64, 4096),
        )
        self.style = style or Style()

    def people(self) -> Sequence[Person]:
        """Return the training people, then the test people, one per image."""
        return self._people

    def image(self, name: str) -> UInt8[np.ndarray, "image_px image_px 3"]:
        """Render the pixels of an image in RGB, anew at every call. Raises UserError if there is no such image."""
        split, index = self._parse_image_name(name)
        rng = self._image_rng(split, index)
        plan = self._draw_plan(rng)
        around = layers_behind(rng, self.style, self.image_px, plan.wardrobe)
        picture = paint_background(rng, self.style, self.image_px, plan.wardrobe)
        painter = Painter(picture, rng, rng.uniform(0, 2 * np.pi), self.style.shading, self.image_px / 160)
        for layer in (*around, *plan.layers):
            painter.paint(layer)
        return add_camera_effects(picture, rng, self.style)

    def missing_images(self) -> Sequence[str]:
        """Return an empty list, as every image can be rendered."""
        return []

    def skipped(self) -> Mapping[str, int]:
        """Return an empty mapping, as nobody is left out."""
        return {}

    def fingerprint(self) -> str:
        """Return a digest of the settings and the generator's version."""
        settings = {"version": VERSION, "counts": self.counts, "seed": self.seed, "image_px": self.image_px}
        text = json.dumps({**settings, "style": asdict(self.style)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def plan_of_image(self, image_name: str) -> ImagePlan:
        """Return the plan of the image with this name, without painting it."""
        return self._draw_plan(self._image_rng(*self._parse_image_name(image_name)))

    @cached_property
    def _people(self) -> tuple[Person, ...]:
        names = [(split, f"{split}/{index:06d}") for split in _SPLITS for index in range(self.counts[split])]
        return tuple(self._to_person(split, name) for split, name in names)

    def _to_person(self, split: Split, name: str) -> Person:
        plan = self.plan_of_image(name)
        return Person(
            image=name, where=f"embedded data, {name}", split=split, joints_px=plan.body.joints_px,
            occluded=plan.occluded, detection_px=plan.detection_px, torso_px=plan.body.torso_px,
            sticks_px=np.zeros((0, 4)), faces_backwards=False,
        )  # fmt: skip

    def _image_rng(self, split: Split, index: int) -> np.random.Generator:
        """Return the random generator of one image."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, _SPLITS.index(split), index]))

    def _parse_image_name(self, name: str) -> tuple[Split, int]:
        """Return the split and the index in an image's name. Raises UserError if there is no such image."""
        for split in _SPLITS:
            digits = name.removeprefix(f"{split}/")
            if digits.isdecimal() and name == f"{split}/{int(digits):06d}" and int(digits) < self.counts[split]:
                return split, int(digits)
        raise UserError(f"embedded data: there is no image {name!r}; it has {self.counts}, named like 'train/000017'")

    def _draw_plan(self, rng: np.random.Generator) -> ImagePlan:
        """Sample the plan of an image; it has all that the labels depend on. Painting continues with the same `rng`."""
        style, size = self.style, self.image_px
        body, wardrobe = sample_body(rng, style, size), random_wardrobe(rng, style)
        box = self._draw_detection(rng, body)
        layers = [*person_layers(body, wardrobe, rng, style), *layers_in_front(rng, style, size, wardrobe, body)]
        return ImagePlan(body, wardrobe, layers, box)

    def _draw_detection(self, rng: np.random.Generator, body: Body) -> Float[np.ndarray, " 4"]:
        """Sample a simulated detection x0 y0 x1 y1, of about the right size and position, independent of the arms."""
        style, unit = self.style, body.unit_px
        centre = (
            body.joints_px[NECK]
            + unit_vector(body.lean + np.pi / 2) * 0.2 * unit
            + rng.normal(0, style.box_shift, 2) * unit
        )
        half = 0.5 * style.box * unit * np.exp(np.clip(rng.normal(0, style.box_spread, 2), -0.2, 0.2))
        return np.concatenate([centre - half, centre + half])


def _checked_whole_number(label: str, value: object, least: int, most: int) -> int:
    """Return the value. Raises UserError unless it is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError(f"embedded data: {label} must be a whole number from {least} to {most}, got {value!r}")
    return value

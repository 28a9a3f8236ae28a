"""Best and worst predictions of each row, and maps of its part detectors, drawn over crops from the pack."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from hmlpe.errors import UserError
from hmlpe.palette import hex_to_rgb, part_colour
from hmlpe.report.runs import RunSetup, group_by_row, read_people_of, read_setup
from hmlpe.runs.people import People
from hmlpe.runs.result import Run
from hmlpe.web import data_uri

QUALITY = 82  # of the JPEG: crops are 128 pixels wide, and the page must stay small
Stick = tuple[float, float, float, float, str]  # x0, y0, x1, y1 in pixels of the crop, and the colour
PEOPLE_PER_END = 6  # number of best people, and of worst people
PEOPLE_WITH_MAPS = 3  # people whose maps are shown: the best, the median and the worst
MAP_COLOUR = "#ff8c00"


class Crops:
    """The crops of one pack; remembers which of them the page uses.

    Args:
        setup: settings of a run, which name the pack.
        digest: digest of the data that the runs were trained on.

    Attributes:
        size_px: side of the test crop, in pixels.
        used: the images that are used, as data links, by row of the pack.

    Raises:
        UserError: the pack is missing, or holds other data.
    """

    def __init__(self, setup: RunSetup, digest: str) -> None:
        from hmlpe.data.pack import open_pack

        pack = open_pack(setup.pack, setup.skeleton)
        if pack.manifest["digest"] != digest:
            raise UserError(f"{setup.pack}: holds other data than these runs used; prepare that data again")
        self._crops = pack.crops
        self.size_px = setup.size_px
        self.used: dict[int, str] = {}

    def mark_used(self, row: int) -> str:
        """Mark the crop in this row of the pack as used by the page, and return its id in the page."""
        name = f"crop-{row}"
        if row not in self.used:
            if not 0 <= row < len(self._crops):
                raise UserError(f"the pack holds no person {row}")
            self.used[row] = data_uri("image/jpeg", _jpeg(np.asarray(self._crops[row])))
        return name

    def images(self) -> Sequence[tuple[str, str]]:
        """Return the id and the picture, as a `data:` URL, of each crop that the page uses."""
        return [(f"crop-{row}", link) for row, link in sorted(self.used.items())]


def open_crops(setup: RunSetup, digest: str) -> Crops | str:
    """Open the crops of a pack; if that is impossible, return a text that says why."""
    try:
        return Crops(setup, digest)
    except UserError as error:
        return str(error)


def png_of_map(tile: UInt8[np.ndarray, "row column"], colour: tuple[int, int, int]) -> str:
    """Return a part map as a data link to a PNG, with one pixel per window, whose opacity is the window's value."""
    rgba = np.empty((*tile.shape, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = colour, tile
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG")
    return data_uri("image/png", out.getvalue())


def _jpeg(image: UInt8[np.ndarray, "row column 3"]) -> bytes:
    """Return the image as the content of a JPEG file."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


@dataclass(frozen=True)
class PoseDrawing:
    """A person's crop with the true and the predicted pose, as the page draws it."""

    crop: str
    label: str
    words: str
    truth: Sequence[Stick]
    predicted: Sequence[Stick]


@dataclass(frozen=True)
class PersonMaps:
    """A person's part maps; `parts` has, for each part, its name and the true and predicted map as data links."""

    crop: str
    label: str
    parts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class RowPictures:
    """The pictures of one run of a row: people with the smallest and largest joint error, and part maps of some."""

    row: str
    seed: int
    best: Sequence[PoseDrawing]
    worst: Sequence[PoseDrawing]
    maps: Sequence[PersonMaps]


@dataclass(frozen=True)
class Gallery:
    """All pictures of people on a study's page; `lacking` states which are missing, and why."""

    rows: Sequence[RowPictures]
    images: Sequence[tuple[str, str]]
    size_px: int
    windows: tuple[float, float]
    lacking: Sequence[str]


def build_gallery(runs: Sequence[Run]) -> Gallery:
    """Return the pictures of each row's first finished seed, under the checkpoint rule that the study chose."""
    rows, lacking = list[RowPictures](), list[str]()
    crops: Crops | str | None = None
    setup: RunSetup | None = None
    for row, group in group_by_row(runs):
        run = next((one for one in group if one.finished), None)
        if run is None:
            continue
        try:
            setup = read_setup(run.file.parent)
            people = read_people_of(run, setup.rule)
            if crops is None:
                crops = open_crops(setup, str(run.provenance["data"]))
            if isinstance(crops, str):
                lacking.append(crops)
                break
            rows.append(_row_pictures(row, run.seed, people, setup, crops))
        except (UserError, LookupError, TypeError, ValueError) as error:
            lacking.append(f"{run.name}: {run.error_without_folder(error)}")
    images = crops.images() if isinstance(crops, Crops) else []
    return Gallery(rows, images, setup.size_px if setup else 0, setup.windows if setup else (0.0, 0.0), lacking)


def _row_pictures(row: str, seed: int, people: People, setup: RunSetup, crops: Crops) -> RowPictures:
    """Return the pictures of a run of the row: its best and worst people, and part maps."""
    best, worst = list[PoseDrawing](), list[PoseDrawing]()
    errors = np.full(len(people), np.nan)
    if "predicted_crop_px" in people.arrays:
        errors = mean_joint_errors(people.arrays["predicted_crop_px"], people.arrays["truth_crop_px"])
        order = [int(one) for one in np.argsort(errors, kind="stable") if math.isfinite(errors[one])]
        count = min(PEOPLE_PER_END, len(order) // 2)
        best = [_pose_drawing(people, one, errors[one], setup, crops) for one in order[:count]]
        worst = [_pose_drawing(people, one, errors[one], setup, crops) for one in order[::-1][:count]]
    return RowPictures(row, seed, best, worst, _person_maps(people, setup, crops))


def mean_joint_errors(
    predicted: Float[np.ndarray, "person joint 2"], truth: Float[np.ndarray, "person joint 2"]
) -> Float[np.ndarray, " person"]:
    """Return each person's mean distance over the known joints, in the unit of the inputs; NaN without any."""
    distance = np.linalg.norm(predicted - truth, axis=-1).astype(float)
    known = np.isfinite(distance)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, distance, 0).sum(1) / known.sum(1))


def _pose_drawing(people: People, person: int, error: float, setup: RunSetup, crops: Crops) -> PoseDrawing:
    """Draw one test person with the true and the predicted pose.

    Args:
        people: the run's results for each test person.
        person: index into `people`.
        error: the person's mean joint error, in pixels.
        setup: the settings of the run.
        crops: the images of the prepared data set.
    """
    predicted, truth = (people.arrays[f"{which}_crop_px"][person] for which in ("predicted", "truth"))
    return PoseDrawing(
        crop=crops.mark_used(int(people.index[person])),
        label=f"{error:.1f} px",
        words=f"Test person {person + 1}: predicted pose over the true one, mean joint error {error:.1f} pixels",
        truth=_sticks(truth, setup),
        predicted=_sticks(predicted, setup),
    )


def _sticks(joints: Float[np.ndarray, "joint 2"], setup: RunSetup) -> list[Stick]:
    """Return a line to draw for each part whose two ends are known: its ends in pixels of the crop, and its colour."""
    found = []
    for part, (first, second) in enumerate(setup.skeleton.part_ends):
        ends = [round(float(value), 1) for value in (*joints[first], *joints[second])]
        if all(map(math.isfinite, ends)):
            found.append((ends[0], ends[1], ends[2], ends[3], part_colour(part)))
    return found


def _person_maps(people: People, setup: RunSetup, crops: Crops) -> list[PersonMaps]:
    """Return the part maps of the people with the smallest, the median and the largest detection error."""
    arrays = people.arrays
    if "part_maps_predicted" not in arrays or "detection_error" not in people.errors:
        return []
    errors = people.errors["detection_error"][:, 0]
    order = [int(one) for one in np.argsort(errors, kind="stable") if math.isfinite(errors[one])]
    if not order:
        return []
    places = dict.fromkeys(
        order[place] for place in np.linspace(0, len(order) - 1, PEOPLE_WITH_MAPS).round().astype(int)
    )
    known = np.isfinite(arrays["truth_crop_px"][:, setup.skeleton.part_ends]).all((2, 3))
    names = [name.replace("_", " ") for name in setup.skeleton.parts]
    colour = hex_to_rgb(MAP_COLOUR)
    return [
        PersonMaps(
            crop=crops.mark_used(int(people.index[one])),
            label=f"Test person {one + 1}, E_d {errors[one]:.1f}",
            parts=[
                (name if there else f"{name} (unknown)", png_of_map(true, colour), png_of_map(found, colour))
                for name, there, true, found in zip(
                    names, known[one], arrays["part_maps_true"][one], arrays["part_maps_predicted"][one], strict=True
                )
            ],
        )
        for one in places
    ]

"""FLIC as it is distributed (FACTS 5), but tiny: written by the tests, read by the reader."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import yaml
from jaxtyping import UInt8
from PIL import Image

from hmlpe.data.boxes import BoxRule
from hmlpe.data.record import Person, Source
from hmlpe.data.sources.flic import FlicSource
from hmlpe.skeleton import Skeleton

CONF = Path(__file__).parents[2] / "conf"
SIZE = (72, 48)  # width, height of the images
SLOT = {"lsho": 1, "lelb": 2, "lwri": 3, "rsho": 4, "relb": 5, "rwri": 6, "lhip": 7, "rhip": 10, "nose": 17}
POSE = {  # MATLAB's 1-based pixels; left is the person's left, on the image's right
    "lsho": (44, 18), "lelb": (48, 28), "lwri": (46, 38), "rsho": (28, 19), "relb": (24, 29), "rwri": (26, 37),
    "lhip": (41, 40), "rhip": (31, 41), "nose": (36, 10),
}  # fmt: skip
TORSO = (30.0, 16.0, 42.0, 40.0)

Record = dict[str, Any]
Joint = tuple[float, float]


def coords(**joints: Joint) -> np.ndarray:
    """(2, 29) the points of POSE with these joints elsewhere; NaN in the slots that FLIC does not use."""
    table = np.full((2, 29), np.nan)
    for name, point in {**POSE, **joints}.items():
        table[:, SLOT[name] - 1] = point
    return table


def backwards() -> np.ndarray:
    """POSE seen from behind: left and right have changed places."""
    other = {"l": "r", "r": "l"}
    return coords(**{name: POSE[other.get(name[0], name[0]) + name[1:]] for name in POSE})


def person(image: str = "a.png", split: str = "train", **changes: Any) -> Record:
    """One element of the struct array; a change to `...` leaves the field out."""
    record: Record = {
        "poselet_hit_idx": np.array([[48], [148]], np.uint16),
        "moviename": "a-film",
        "coords": coords(),
        "filepath": image,
        "imgdims": np.array([[SIZE[1], SIZE[0], 3]], np.uint16),
        "currframe": np.array([[6361]], np.uint16),
        "torsobox": np.array([TORSO], np.float32),
        "istrain": np.uint8(split == "train"),
        "istest": np.uint8(split == "test"),
        **changes,
    }
    return {name: value for name, value in record.items() if value is not ...}


def write_mat(path: Path, records: Sequence[Record], variable: str = "examples", compressed: bool = False) -> None:
    """Write the struct array; all records must have the fields of the first."""
    array = np.empty((1, len(records)), dtype=[(name, object) for name in records[0]])
    for index, record in enumerate(records):
        array[0, index] = tuple(record.values())
    scipy.io.savemat(path, {variable: array}, do_compression=compressed)


def picture(name: str, size: tuple[int, int] = SIZE) -> UInt8[np.ndarray, "height width 3"]:
    """A smooth picture of its own for every name."""
    coarse = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def write_flic(root: Path, records: Sequence[Record], absent: Sequence[str] = ()) -> Path:
    """Write examples.mat and images/, without the absent images."""
    (root / "images").mkdir(parents=True)
    write_mat(root / "examples.mat", records)
    for name in sorted({str(record["filepath"]) for record in records} - set(absent)):
        Image.fromarray(picture(name)).save(root / "images" / name)
    return root


CROWD = [  # two people share b.png, and d.png holds a test and a train person
    person("a.png"), person("b.png"), person("c.jpg", "test"), person("d.png", "test"),
    person("b.png", torsobox=np.array([[33, 16, 40, 41]], np.float32)),
    person("d.png", torsobox=np.array([[10, 16, 22, 40]], np.float32)), person("e.png", coords=backwards()),
    person("f.jpg"), person("g.png", "test"),
]  # fmt: skip


@dataclass
class Watched:
    """A source that notes which images are read, fails at the chosen read, and can be a set of another name.

    `identities` says who the people of an image are.
    """

    source: Source
    fails_at: int | None = None
    error: BaseException = field(default_factory=lambda: RuntimeError("pulled the plug"))
    read: list[str] = field(default_factory=list)
    name: str = "flic"
    identities: Mapping[str, str] = field(default_factory=dict)

    def people(self) -> Sequence[Person]:
        people = self.source.people()
        return [replace(p, identity=self.identities.get(p.image, "")) for p in people] if self.identities else people

    def missing_images(self) -> Sequence[str]:
        return self.source.missing_images()

    def skipped(self) -> Mapping[str, int]:
        return self.source.skipped()

    def fingerprint(self) -> str:
        return self.source.fingerprint()

    def image(self, name: str) -> UInt8[np.ndarray, "height width 3"]:
        if len(self.read) == self.fails_at:
            raise self.error
        self.read.append(name)
        return self.source.image(name)


@pytest.fixture(scope="session")
def skeleton() -> Skeleton:
    """The configured one."""
    config = yaml.safe_load((CONF / "skeleton" / "upper_body.yaml").read_text(encoding="utf-8"))
    return Skeleton(config["joints"], config["parts"], config["mirror"])


@pytest.fixture(scope="session")
def boxes() -> BoxRule:
    """The configured ones of FLIC."""
    return BoxRule("detection", "detection", (3.5, 1.75, 1.75), 0.1)


@pytest.fixture
def flic(tmp_path: Path, skeleton: Skeleton) -> Callable[..., FlicSource]:
    """Writes records as a new FLIC folder under tmp_path and opens it."""
    numbers = iter(range(1000))

    def make(records: Sequence[Record] = CROWD, absent: Sequence[str] = ()) -> FlicSource:
        return FlicSource(str(write_flic(tmp_path / f"flic_{next(numbers)}", records, absent)), skeleton)

    return make

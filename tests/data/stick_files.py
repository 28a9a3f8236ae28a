"""The four sets of stickmen as they are distributed (FACTS 5), but tiny: written by the tests, read by the readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hmlpe.data.sources.activities import ActivitiesSource
from hmlpe.data.sources.buffy import BuffySource
from hmlpe.data.sources.ethz import EthzSource
from hmlpe.data.sources.family import FamilySource
from hmlpe.data.sources.folder import FolderSource
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

NAN = float("nan")
HIDDEN = "NaN NaN NaN NaN"
BASE = np.array([  # MATLAB's pixels: torso, the image's left and right upper arm, lower arms, head
    (51, 81, 51, 31), (31, 33, 25, 56), (87, 71, 71, 33), (27, 58, 31, 81), (97, 51, 87, 71), (53, 27, 49, 11),
], dtype=float)  # fmt: skip


def man(number: int, hidden: Sequence[int] = ()) -> list[str]:
    """The stick lines of BASE, moved by `number` + 0.5 to the right."""
    rows = BASE + np.array([number + 0.5, 0, number + 0.5, 0])
    return [HIDDEN if i in hidden else " " + " ".join(f"{x:.1f}" for x in row) + " " for i, row in enumerate(rows)]


def sticks(number: int, hidden: Sequence[int] = ()) -> np.ndarray:
    """What the reader must make of `man`."""
    rows = BASE + np.array([number - 0.5, -1, number - 0.5, -1])
    rows[list(hidden)] = NAN
    return rows


@dataclass
class Record:
    """A record of an annotation file, and the people that it must become."""

    header: str
    image: str
    people: list[np.ndarray]
    lines: list[str]

    @classmethod
    def of(cls, header: str, image: str, *numbers: int, hidden: Sequence[int] = ()) -> Record:
        people = [sticks(number, hidden) for number in numbers]
        return cls(header, image, people, [header, *(line for number in numbers for line in man(number, hidden))])


@dataclass
class Kind:
    """One of the four sets: how to open it, and records in its format."""

    make: Callable[..., FolderSource]
    file: str
    records: list[Record]
    options: dict[str, Any] = field(default_factory=dict)
    others: dict[str, list[Record]] = field(default_factory=dict)  # the other annotation files


def buffy(episode: int) -> list[Record]:
    frames = [f"{episode}063", f"{episode}1", f"00{episode}8"][: 3 if episode == 5 else 2 if episode == 2 else 1]
    return [
        Record.of(frame, f"buffy_s5e{episode}_original/{int(frame):06d}.jpg", 10 * episode + i)
        for i, frame in enumerate(frames)
    ]


BUFFY_FILES = {f"data/buffy_s5e{episode}_sticks.txt": buffy(episode) for episode in (2, 3, 4, 5, 6)}
KINDS = {
    "buffy": Kind(
        BuffySource, "data/buffy_s5e5_sticks.txt", buffy(5), {"detections": None},
        {name: records for name, records in BUFFY_FILES.items() if "s5e5" not in name},
    ),
    "ethz": Kind(EthzSource, "data/pascal_sticks.txt", [
        Record.of("000012.jpg", "000012.jpg", 0), Record.of("7.png", "000007.png", 1),
        Record.of("345", "000345.jpg", 2), Record.of("2008_01.jpg", "2008_01.jpg", 3, hidden=[4]),
        Record.of("1234567.jpg", "1234567.jpg", 4),
    ]),
    "sa": Kind(ActivitiesSource, "data/SynchronicActivities.txt", [
        Record.of("Fit_0051.jpg 2 6", "Fit_0051.jpg", 0, 1), Record.of("x.jpg 1 6", "x.jpg", 2),
        Record.of("deep/b.png 3 6", "deep/b.png", 3, 4, 5, hidden=[1, 3]),
    ]),
    "waf": Kind(FamilySource, "data/waf_sticks_all.txt", [
        Record.of("b.jpg", "b.jpg", 0), Record.of("a.jpg 2", "a.jpg", 1, 2),
        Record.of("./c.jpg 2 6", "c.jpg", 3, 4, hidden=[0]), Record.of("d.jpg 1", "d.jpg", 5, hidden=range(6)),
    ], {"train_images": 2}),
}  # fmt: skip


def write(root: Path, name: str, lines: Sequence[str] | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode())


def lines_of(records: Sequence[Record]) -> list[str]:
    return [line for record in records for line in record.lines]


def build(root: Path, kind: Kind, skeleton: Skeleton, **options: Any) -> FolderSource:
    """Write the set and open it."""
    root.mkdir(exist_ok=True)
    for name, records in {kind.file: kind.records, **kind.others}.items():
        write(root, name, lines_of(records))
    return kind.make(str(root), skeleton, **{**kind.options, **options})


def everyone(kind: Kind) -> list[tuple[str, np.ndarray]]:
    """(image, sticks) of all people in the reader's order."""
    files = sorted({kind.file: kind.records, **kind.others}.items())
    return [(record.image, man) for _, records in files for record in records for man in record.people]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as raised:
        call()
    message = str(raised.value)
    assert message.strip() and "\n" not in message and "\r" not in message
    return message

"""What one call of hmlpe-predict is asked, what it shares, and what it has done."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from hmlpe.detect.detector import Detections
from hmlpe.predict.names import Names
from hmlpe.predict.people import PosePredictor
from hmlpe.predict.sources import Skipped
from hmlpe.predict.write import PoseFiles
from hmlpe.spelling import is_plain

TOGETHER, PIXELS = 16, 24_000_000  # images that are in memory at once: so many, or until they have so many pixels

Image = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Options:
    """What is asked for beside the sources.

    Attributes:
        out: folder of the results.
        draw: write pictures and videos; else poses alone.
        maps: for each person in a photo, a picture of the part detectors' maps.
        people: at most so many in an image, the surest.
        score: least score of the detector.
        frames: at most so many of each video or camera.
    """

    out: Path
    draw: bool = True
    maps: bool = False
    people: int | None = None
    score: float | None = None
    frames: int | None = None


@dataclass
class Summary:
    """What was done.

    Attributes:
        images: photos and frames that were looked at.
        people: found in them.
        empty: photos without people.
        videos: of each video or camera, what `poses.json` says.
        skipped: what could not be done, and why.
        stopped: whether the user ended it.
    """

    images: int = 0
    people: int = 0
    empty: list[str] = field(default_factory=list)
    videos: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    stopped: bool = False


@dataclass
class Job:
    """What the parts of one call share. `stop` tells whether the user wants it to end."""

    predictor: PosePredictor
    options: Options
    names: Names
    files: PoseFiles
    summary: Summary
    stop: Callable[[], bool]

    def detect(self, image: Image, name: str) -> Detections:
        """The people who are wanted of those whom the detector finds."""
        windows, scores = self.predictor.detector(image, name)
        least = self.options.score
        kept = np.flatnonzero(~(scores < least)) if least is not None else np.arange(len(scores))  # NaN is kept
        return Detections(windows[kept[: self.options.people]], scores[kept[: self.options.people]])


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C is noted, so that whoever asks can end in order; a second one is as always."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, _: FrameType | None) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def bar(total: int | None, name: str, unit: str) -> tqdm[Any]:
    """A bar that moves on a terminal; elsewhere, and if it takes that long, a line every ten seconds."""
    calm: dict[str, Any] = {} if sys.stderr.isatty() else {"mininterval": 10, "delay": 10, "ascii": True}
    if calm:
        of = f"/{total}" if total is not None else ""
        calm["bar_format"] = "{desc}: {n_fmt}" + of + ", {rate_fmt}\n"
    return tqdm(total=total, desc=name, unit=unit, **calm)


def skipped_lines(skipped: Sequence[Skipped], most: int = 20) -> list[str]:
    """One line for each, up to `most`."""
    lines = [f"skipped: {one.reason}" for one in skipped[:most]]
    lines += [f"and {len(skipped) - most} more, see poses.json"] if len(skipped) > most else []
    return ["".join(letter if is_plain(letter) else "?" for letter in line) for line in lines]

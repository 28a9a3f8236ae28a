"""Videos and cameras, frame by frame in, and frame by frame out, each at its own time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

# Before the first video is opened: one line of ours in place of ffmpeg's many; and what calls itself a video may be a
# playlist, by which ffmpeg would fetch from the network.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.errors import UserError
from hmlpe.files import atomic_file
from hmlpe.predict.sources import Camera, Video

FASTEST, HELD = 120.0, 20.0  # frames a second of what is drawn, and for how many places one frame is held on average


class Pace(NamedTuple):
    """Frames per second of the drawn video; and whether the source's come unevenly, so that some are held longer."""

    rate: float
    uneven: bool


def pace_of(source: Video, rate: float, limit: int | None) -> Pace:
    """Looks through the file once, as a drawn video is of a constant rate and most files do not say that theirs is not.

    Args:
        rate: frames per second that the file claims.
        limit: at most so many frames; None: all.
    """
    times, capture = list[float](), opened(source)
    while (limit is None or len(times) < limit) and capture.grab():
        times.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000)
    capture.release()
    return pace(np.array(times), rate)


def pace(times_s: Float[np.ndarray, " frame"], rate: float) -> Pace:
    """The pace of frames that come at these times; `rate` where they are of no use (missing, or going backwards)."""
    steps = np.diff(times_s)
    if not len(steps) or not np.isfinite(steps).all() or (steps <= 0).any():
        return Pace(rate, False)
    mean = steps.mean()
    if np.abs(times_s - times_s[0] - np.arange(len(times_s)) * mean).max() <= mean / 2:
        return Pace(rate if abs(mean * rate - 1) < 0.01 else float(1 / mean), False)
    return Pace(float(max(1 / mean, min(1 / steps.min(), FASTEST, HELD / mean))), True)


USUAL_RATE = 25.0  # where the source does not say

Image = UInt8[np.ndarray, "height width 3"]


class Frame(NamedTuple):
    """One frame, in RGB, counted from 0. `time_s` is what the file says; of a camera, since its first frame."""

    number: int
    time_s: float
    image: Image


class Frames:
    """The frames of a video or a camera, read one by one; nothing is kept.

    A file that is turned upright by its players is turned here. Frames are never more than `limit`.

    Attributes:
        rate: frames per second.
        count: that the file claims to have, at most `limit`; None if it does not say, and for a camera.
        read: frames so far.

    Raises:
        UserError: it cannot be opened.
    """

    def __init__(self, source: Video | Camera, limit: int | None = None) -> None:
        self._live, self._limit, self.read = isinstance(source, Camera), limit, 0
        self._capture = opened(source)
        if not self._capture.isOpened():
            what = "this camera cannot be opened" if self._live else "not a video that can be read; fetch it again"
            raise UserError(f"{source.name if isinstance(source, Camera) else source.path}: {what}")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if math.isfinite(rate) and 0.1 <= rate <= 1000 else USUAL_RATE
        claimed = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        known = not self._live and math.isfinite(claimed) and 0 < claimed < 1e9
        counts = [*([int(claimed)] if known else []), *([limit] if limit is not None else [])]
        self.count = min(counts, default=None)

    @property
    def ends_early(self) -> bool:
        """Whether the file claims clearly more frames than there were. Some formats know their length but roughly."""
        return not self._live and self.count is not None and self.read < 0.98 * self.count - 1

    def __iter__(self) -> Iterator[Frame]:
        start = None
        while self._limit is None or self.read < self._limit:
            whole, image = self._capture.read()
            if not whole:
                return
            now = time.monotonic()
            start = now if start is None else start
            said = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            number, self.read = self.read, self.read + 1
            moment = now - start if self._live else said if math.isfinite(said) else number / self.rate
            yield Frame(number, round(moment, 4), cv2.cvtColor(image, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()


class Writer:
    """An .mp4 of pictures, which are resized to the first one's size if a camera changes its own."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._out: cv2.VideoWriter | None = None
        self._size, self._written, self._last = (0, 0), 0, np.zeros((0, 0, 3), np.uint8)

    def add(self, image: Image, at_s: float | None = None) -> None:
        """The next frame.

        Args:
            at_s: when it is to be seen, from the first one on; the one before is held until then. None: at once.

        Raises:
            UserError: no video can be written.
        """
        if self._out is None:
            # its blocks are of even size
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)
            self._out = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, self._size)
            if not self._out.isOpened():
                raise UserError(f"{self._path}: no video of {self._size[0]} x {self._size[1]} pixels can be written")
        wide, high = self._size[0] - image.shape[1], self._size[1] - image.shape[0]
        if wide in (0, 1) and high in (0, 1):
            fitting = cv2.copyMakeBorder(image, 0, high, 0, wide, cv2.BORDER_REPLICATE)
        else:
            fitting = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        while at_s is not None and 0 < self._written < round(at_s * self._rate):
            self._write(self._last)
        self._write(cv2.cvtColor(fitting, cv2.COLOR_RGB2BGR))

    def _write(self, image: Image) -> None:
        assert self._out is not None
        self._out.write(image)
        self._last, self._written = image, self._written + 1

    def close(self) -> None:
        """Write the index, without which the file is none."""
        if self._out is not None:
            self._out.release()


@contextmanager
def video_file(path: Path, rate: float) -> Iterator[Writer]:
    """Writes a video under a temporary name, renamed at the end; nothing is left of one without frames."""
    with atomic_file(path, path.suffix) as temporary:
        writer = Writer(temporary, rate)
        try:
            yield writer
        finally:
            writer.close()
        if not temporary.is_file():
            raise UserError(f"{path}: no frame could be written")


def opened(source: Video | Camera) -> Any:
    """A cv2.VideoCapture, or what has its methods. Raises UserError if there is no such file."""
    if isinstance(source, Video) and not source.path.is_file():  # to open a pipe would wait for its writer
        raise UserError(f"{source.path}: no such file, or a pipe or a device")
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)  # whether it worked is asked of it, and said in one line
    try:
        if isinstance(source, Camera):
            return cv2.VideoCapture(source.number)
        return cv2.VideoCapture(str(source.path), cv2.CAP_FFMPEG)  # others take names for patterns or addresses
    finally:
        log.setLogLevel(level)

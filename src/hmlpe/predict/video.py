"""Read videos and cameras frame by frame, and write drawn videos in which each frame keeps its time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

# Set before the first video is opened: ffmpeg's own messages are off, as errors are reported in one line of ours; and
# only local files may be read, as a file that claims to be a video may be a playlist that makes ffmpeg use the network.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from hmlpe.errors import UserError
from hmlpe.files import atomic_file
from hmlpe.predict.sources import Camera, Video

MAX_RATE = 120.0  # frames per second of a drawn video
MAX_MEAN_HOLD = 20.0  # how many frames of a drawn video may show the same frame of its source, on average


class FrameRate(NamedTuple):
    """The constant frame rate of a drawn video, in frames per second.

    `uneven` says whether the frames of the source are unevenly spaced in time, so that some are held for longer.
    """

    rate: float
    uneven: bool


def measure_frame_rate(source: Video, rate: float, limit: int | None) -> FrameRate:
    """Return the frame rate for the drawn copy of a video file, from the times of the file's frames.

    The whole file is read once for that: a drawn video has a constant frame rate, and most files do not tell if their
    own rate is not constant.

    Args:
        source: the video.
        rate: the frame rate that the file claims, in frames per second.
        limit: the largest number of frames to read; None reads all.
    """
    times, capture = list[float](), open_capture(source)
    while (limit is None or len(times) < limit) and capture.grab():
        times.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000)
    capture.release()
    return frame_rate_from_times(np.array(times), rate)


def frame_rate_from_times(times_s: Float[np.ndarray, " frame"], rate: float) -> FrameRate:
    """Return the frame rate of a drawn video for frames at these times.

    It is `rate` if the times cannot be used, as there are none or they do not increase.
    """
    steps = np.diff(times_s)
    if not len(steps) or not np.isfinite(steps).all() or (steps <= 0).any():
        return FrameRate(rate, False)
    mean = steps.mean()
    if np.abs(times_s - times_s[0] - np.arange(len(times_s)) * mean).max() <= mean / 2:
        return FrameRate(rate if abs(mean * rate - 1) < 0.01 else float(1 / mean), False)
    return FrameRate(float(max(1 / mean, min(1 / steps.min(), MAX_RATE, MAX_MEAN_HOLD / mean))), True)


USUAL_RATE = 25.0  # frames per second, assumed if the source gives none

Image = UInt8[np.ndarray, "height width 3"]


class Frame(NamedTuple):
    """One frame, in RGB, with its number from 0 and its time in seconds.

    The time is the one that a video file gives; for a camera it is the time since its first frame.
    """

    number: int
    time_s: float
    image: Image


class Frames:
    """An iterator over the frames of a video or a camera, which keeps none of them in memory.

    A video whose metadata ask for a rotation is rotated upright, as players do. At most `limit` frames are read.

    Attributes:
        rate: frames per second.
        count: the number of frames that the file claims to have, at most `limit`; if none is claimed, as by a camera,
            it is `limit`.
        read: the number of frames read so far.

    Raises:
        UserError: the video or camera cannot be opened.
    """

    def __init__(self, source: Video | Camera, limit: int | None = None) -> None:
        self._live, self._limit, self.read = isinstance(source, Camera), limit, 0
        self._capture = open_capture(source)
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
        """Return whether the file claims clearly more frames than were read.

        A few missing frames do not count, as some formats state their length only roughly.
        """
        return not self._live and self.count is not None and self.read < 0.98 * self.count - 1

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames and yield them, in RGB, until the end or the limit."""
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
        """Release the file or camera."""
        self._capture.release()


class Writer:
    """A writer of RGB frames into an .mp4 file. A frame of another size than the first is resized to that.

    Args:
        path: the file.
        rate: frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._out: cv2.VideoWriter | None = None
        self._size, self._written, self._last = (0, 0), 0, np.zeros((0, 0, 3), np.uint8)

    def add(self, image: Image, at_s: float | None = None) -> None:
        """Write the next frame.

        Args:
            image: the frame, in RGB.
            at_s: when the frame is to be shown, in seconds after the first one; the previous frame is repeated until
                then. None: it directly follows the previous one.

        Raises:
            UserError: no video of this size can be written.
        """
        if self._out is None:
            # width and height must be even for the codec
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
        """Write a BGR frame of the video's size."""
        assert self._out is not None
        self._out.write(image)
        self._last, self._written = image, self._written + 1

    def close(self) -> None:
        """Finish the file: write its index, without which it cannot be played."""
        if self._out is not None:
            self._out.release()


@contextmanager
def open_video_writer(path: Path, rate: float) -> Iterator[Writer]:
    """Yield a writer to a temporary video file, which gets its name when the block ends.

    Raises:
        UserError: no frame was written; then no file is left.
    """
    with atomic_file(path, path.suffix) as temporary:
        writer = Writer(temporary, rate)
        try:
            yield writer
        finally:
            writer.close()
        if not temporary.is_file():
            raise UserError(f"{path}: no frame could be written")


def open_capture(source: Video | Camera) -> Any:
    """Return an open cv2.VideoCapture (in tests, an object with its methods).

    Raises:
        UserError: the video is not a regular file.
    """
    if isinstance(source, Video) and not source.path.is_file():  # opening a pipe would block until somebody writes
        raise UserError(f"{source.path}: no such file, or a pipe or a device")
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)  # the caller checks if the capture is open, and reports it in one line
    try:
        if isinstance(source, Camera):
            return cv2.VideoCapture(source.number)
        return cv2.VideoCapture(str(source.path), cv2.CAP_FFMPEG)  # other backends read names as patterns or URLs
    finally:
        log.setLogLevel(level)

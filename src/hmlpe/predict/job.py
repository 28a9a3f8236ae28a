"""Run one job of hmlpe-predict, from the sources to pictures and poses, with its options and its summary."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from hmlpe.data.sources.images import read_image
from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.predict.draw import draw_maps, draw_people
from hmlpe.predict.people import FoundPerson, PosePredictor
from hmlpe.predict.pose_files import PoseFiles
from hmlpe.predict.sources import Camera, FoundSources, Photo, Skipped, Video, save_picture, suffix_for
from hmlpe.predict.video import Frame, FrameRate, Frames, Writer, measure_frame_rate, open_video_writer
from hmlpe.spelling import is_plain

DetectedFrame = tuple[Frame, Detections]
CHUNK_IMAGES = 16  # the largest number of images in memory at once
CHUNK_PIXELS = 24_000_000  # once the images in memory have so many pixels together, no further one is read
Image = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Options:
    """The options of a job.

    Attributes:
        out: the folder for the results.
        draw: whether to write drawn pictures and videos beside the files of poses.
        maps: whether to write a picture of the part detectors' maps for each person in a photo.
        people: the largest number of people in an image, of whom the best scored are kept; None: all.
        score: the lowest detector score of a person who is kept; None: all are kept.
        frames: the largest number of frames to read of each video or camera; None: all.
    """

    out: Path
    draw: bool = True
    maps: bool = False
    people: int | None = None
    score: float | None = None
    frames: int | None = None


@dataclass
class Summary:
    """The counts and lists that a job has collected so far.

    Attributes:
        images: the number of photos and frames that were processed.
        people: the number of people found in them.
        empty: the names of photos in which no person was found.
        videos: the entry of each video or camera in `poses.json`.
        skipped: sources that could not be processed, with the reasons.
        stopped: whether the user ended the job early.
    """

    images: int = 0
    people: int = 0
    empty: list[str] = field(default_factory=list)
    videos: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    stopped: bool = False


@dataclass
class Job:
    """The objects that the functions of one job share.

    Attributes:
        predictor: the person detector and pose estimator.
        options: the options of the job.
        names: gives out the names of drawn pictures and videos.
        files: writes the poses.
        summary: what has been done so far, updated as the job goes on.
        stop_requested: a function that returns whether the user has asked the job to end.
    """

    predictor: PosePredictor
    options: Options
    names: OutputNames
    files: PoseFiles
    summary: Summary
    stop_requested: Callable[[], bool]

    def detect(self, image: Image, name: str) -> Detections:
        """Detect the people in an image; keep at most `options.people`, of a score not below `options.score`."""
        windows, scores = self.predictor.detector(image, name)
        least = self.options.score
        kept = np.flatnonzero(~(scores < least)) if least is not None else np.arange(len(scores))  # NaN is kept
        return Detections(windows[kept[: self.options.people]], scores[kept[: self.options.people]])


def run_job(found: FoundSources, predictor: PosePredictor, options: Options, detector: str = "") -> Summary:
    """Estimate and write the poses in all sources, in order; those that fail are skipped and noted in the summary.

    Ctrl-C ends the job early, with complete files.

    Args:
        found: the photos, videos and cameras.
        predictor: finds people and their poses.
        options: the options of the job: what to write where, and limits.
        detector: the person detector's name, for the files.

    Returns:
        What was done.

    Raises:
        UserError: the results cannot be written, or maps are wanted from a network without part detectors.
    """
    card = predictor.estimator.card
    if options.maps and predictor.estimator(np.zeros((1, card.size_px, card.size_px, 3), np.uint8)).part_maps is None:
        raise UserError(f"maps: the network {card.name} has no part detectors; remove maps=true")
    summary = Summary(skipped=[*found.skipped])
    names = OutputNames(options.out, (item.path for item in found.items if not isinstance(item, Camera)))
    try:
        files = PoseFiles(options.out, card, detector, found.folder)
        with files, catch_interrupt() as stop:
            job = Job(predictor, options, names, files, summary, stop)
            for _, group in groupby(found.items, key=lambda item: isinstance(item, Photo)):
                items = [*group]
                process_photos([item for item in items if isinstance(item, Photo)], job)
                for item in items:
                    if not isinstance(item, Photo) and not summary.stopped:
                        process_video(item, job)
                if summary.stopped:
                    break
            files.set_footer(
                videos=summary.videos,
                skipped=[one._asdict() for one in summary.skipped],
                ignored=found.ignored,
                finished=not summary.stopped,
            )
    except OSError as error:
        raise UserError(f"{error.filename or options.out}: cannot be written ({error.strerror or error})") from error
    return summary


class DetectedPhoto(NamedTuple):
    """A photo and the people that the detector found in it."""

    photo: Photo
    image: Image
    found: Detections


def process_photos(photos: Sequence[Photo], job: Job) -> None:
    """Estimate and write the poses in all photos, in order; a photo that cannot be read is skipped."""
    if not photos:
        return
    with progress_bar(len(photos), "photos", " photos") as progress:
        for chunk in _photos_in_chunks(photos, job):
            everyone = job.predictor.poses_of([seen.image for seen in chunk], [seen.found for seen in chunk])
            for seen, people in zip(chunk, everyone, strict=True):
                _write_photo(seen, people, job)
                progress.update(1)
        progress.update(0 if job.summary.stopped else len(photos) - progress.n)  # counts the skipped photos


def _photos_in_chunks(photos: Sequence[Photo], job: Job) -> Iterator[list[DetectedPhoto]]:
    """Yield chunks of photos whose crops share batches; each chunk is read only when it is needed."""
    chunk: list[DetectedPhoto] = []
    for photo in photos:
        if job.stop_requested():
            job.summary.stopped = True
            break
        try:
            image = read_image(photo.path.parent, photo.path.name, upright=True)
            chunk.append(DetectedPhoto(photo, image, job.detect(image, photo.name)))
        except UserError as error:
            job.summary.skipped.append(Skipped(photo.name, str(error)))
        if len(chunk) == CHUNK_IMAGES or sum(seen.image.size for seen in chunk) >= 3 * CHUNK_PIXELS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _write_photo(seen: DetectedPhoto, people: Sequence[FoundPerson], job: Job) -> None:
    """Write the poses in a photo and, if the options say so, its pictures, and count them in the summary."""
    name, image, out, card = seen.photo.name, seen.image, job.options.out, job.predictor.estimator.card
    more: dict[str, Any] = {}
    if job.options.draw:
        path = job.names.unused_path(name, "_pose" + suffix_for(name, image))
        save_picture(path, draw_people(image, people, card.skeleton))
        more["picture"] = path.relative_to(out).as_posix()
    if job.options.maps:
        paths = [job.names.unused_path(name, f"_maps{number}.png") for number in range(1, len(people) + 1)]
        for path, person in zip(paths, people, strict=True):
            save_picture(path, draw_maps(image, person, card))
        more["maps"] = [path.relative_to(out).as_posix() for path in paths]
    job.files.add(name, image.shape[1], image.shape[0], people, **more)
    job.summary.images += 1
    job.summary.people += len(people)
    if not people:
        job.summary.empty.append(name)


def process_video(source: Video | Camera, job: Job) -> None:
    """Estimate and write the poses in all frames of a video or camera, in order, with a few in memory at a time.

    A video or camera that cannot be read is skipped.
    """
    try:
        with closing(Frames(source, job.options.frames)) as frames:
            _process_frames(source, frames, job)
    except UserError as error:
        job.summary.skipped.append(Skipped(source.name, str(error)))


def _process_frames(source: Video | Camera, frames: Frames, job: Job) -> None:
    """Estimate, draw and write the poses in the frames, and add the video's entry to the summary."""
    stream = _frames_in_chunks(source, frames, job)
    first = next(stream, None)
    if first is None:
        if not job.summary.stopped:
            raise UserError(f"{source.path if isinstance(source, Video) else source.name}: no frame could be read")
        return
    path = job.names.unused_path(source.name, "_pose.mp4") if job.options.draw else None
    people = with_people = 0
    start = first[0][0].time_s
    frame_rate = FrameRate(frames.rate, uneven=True)  # for a camera: its frames come as fast as they are processed
    if path is not None and isinstance(source, Video):
        frame_rate = measure_frame_rate(source, frames.rate, job.options.frames)
    output = nullcontext(None) if path is None else open_video_writer(path, frame_rate.rate)
    with progress_bar(frames.count, source.name, " frames") as progress, output as writer:
        for chunk in chain([first], stream):
            found = _write_frames(source, chunk, writer, start if frame_rate.uneven else None, job)
            people, with_people = people + sum(found), with_people + sum(number > 0 for number in found)
            progress.update(len(chunk))
    job.summary.videos.append(
        {
            "video": source.name,
            "frames": frames.read,
            "frames_with_people": with_people,
            "rate": round(frames.rate, 4),
            "drawn_rate": None if path is None else round(frame_rate.rate, 4),
            "ends_early": frames.ends_early and not job.summary.stopped,
            "frames_expected": frames.count,
            "picture": None if path is None else path.relative_to(job.options.out).as_posix(),
        }
    )
    job.summary.images += frames.read
    job.summary.people += people


def _frames_in_chunks(source: Video | Camera, frames: Frames, job: Job) -> Iterator[list[DetectedFrame]]:
    """Yield chunks of frames with their detections; the crops of a chunk share batches.

    A chunk is read only when it is needed. Ctrl-C ends the frames. For a camera that is the regular end; a video then
    counts as stopped.
    """
    if job.stop_requested():
        job.summary.stopped = True
        return
    chunk: list[DetectedFrame] = []
    for frame in frames:
        chunk.append((frame, job.detect(frame.image, f"{source.name}#{frame.number}")))
        if len(chunk) == CHUNK_IMAGES or sum(seen.image.size for seen, _ in chunk) >= 3 * CHUNK_PIXELS:
            yield chunk
            chunk = []
        if job.stop_requested():
            job.summary.stopped = isinstance(source, Video)
            break
    if chunk:
        yield chunk


def _write_frames(
    source: Video | Camera, chunk: Sequence[DetectedFrame], writer: Writer | None, start_s: float | None, job: Job
) -> list[int]:
    """Write the poses and drawings of a chunk of frames, and return how many people are in each frame.

    Args:
        source: the video or camera.
        chunk: the frames with their detections.
        writer: writes the drawn video; None: nothing is drawn.
        start_s: the time of the video's first frame, if each frame is to be shown at its own time; None: each frame
            directly follows the one before.
        job: the job.
    """
    skeleton = job.predictor.estimator.card.skeleton
    everyone = job.predictor.poses_of([frame.image for frame, _ in chunk], [found for _, found in chunk])
    for (frame, _), people in zip(chunk, everyone, strict=True):
        if writer is not None:
            picture = draw_people(frame.image, people, skeleton)
            writer.add(picture, None if start_s is None else frame.time_s - start_s)
        height, width = frame.image.shape[:2]
        name = f"{source.name}#{frame.number}"
        job.files.add(name, width, height, people, frame=frame.number, time_s=frame.time_s)
    return [len(people) for people in everyone]


class OutputNames:
    """Gives out paths of files to write below a folder, each only once.

    Args:
        out: the folder.
        reserved: absolute paths of files that must not be overwritten.
    """

    def __init__(self, out: Path, reserved: Iterable[Path] = ()) -> None:
        self._out = out
        self._taken = {_file_key(path.resolve()) for path in reserved}

    def unused_path(self, name: str, ending: str) -> Path:
        """Return an unused path `<out>/<folders>/<stem><ending>` for a source, and reserve it.

        If it is taken, the source's whole file name replaces the stem; if that is taken too, a number is added to it.

        Args:
            name: the source's relative path, with slashes.
            ending: the end of the file name, such as _pose.jpg.
        """
        source = PurePosixPath(name)
        numbered = (f"{source.name}_{number}" for number in itertools.count(2))
        for stem in itertools.chain([source.stem, source.name], numbered):
            path = self._out / source.parent / (stem + ending)
            key = _file_key(path.resolve())
            if key not in self._taken:
                break
        self._taken.add(key)
        return path


def _file_key(path: Path) -> str:
    """Return a key that is equal for paths that some file systems take for the same file (they ignore case)."""
    return str(path).casefold()


@contextmanager
def catch_interrupt() -> Iterator[Callable[[], bool]]:
    """Catch the first Ctrl-C (SIGINT), so that the job can end with complete files; a second one is handled as before.

    Yields a function that returns whether Ctrl-C was pressed. Outside the main thread, which alone may handle signals,
    nothing is caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def record_sigint(signal_number: int, _: FrameType | None) -> None:
        asked.append(signal_number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, record_sigint)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def progress_bar(total: int | None, name: str, unit: str) -> tqdm[Any]:
    """Return a progress bar for a terminal; elsewhere, it prints a line every ten seconds if the job takes so long."""
    calm: dict[str, Any] = {} if sys.stderr.isatty() else {"mininterval": 10, "delay": 10, "ascii": True}
    if calm:
        of = f"/{total}" if total is not None else ""
        calm["bar_format"] = "{desc}: {n_fmt}" + of + ", {rate_fmt}\n"
    return tqdm(total=total, desc=name, unit=unit, **calm)


def skipped_lines(skipped: Sequence[Skipped], max_lines: int = 20) -> list[str]:
    """Return a line for each skipped source; after `max_lines` of them, one line that counts the rest."""
    lines = [f"skipped: {one.reason}" for one in skipped[:max_lines]]
    lines += [f"and {len(skipped) - max_lines} more, see poses.json"] if len(skipped) > max_lines else []
    return ["".join(letter if is_plain(letter) else "?" for letter in line) for line in lines]

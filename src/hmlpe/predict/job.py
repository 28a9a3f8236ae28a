"""What one call of hmlpe-predict is asked, does and has done: sources -> pictures and poses."""

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
from hmlpe.predict.sources import Camera, Found, Photo, Skipped, Video, save_picture, suffix_for
from hmlpe.predict.video import Frame, Frames, Pace, Writer, pace_of, video_file
from hmlpe.spelling import is_plain


class SeenPhoto(NamedTuple):
    """A photo whose people have been found."""

    photo: Photo
    image: Image
    found: Detections


def look_at_photos(photos: Sequence[Photo], job: Job) -> None:
    """Poses of all photos, in order; one that cannot be read is skipped."""
    if not photos:
        return
    with bar(len(photos), "photos", " photos") as progress:
        for some in _photos_in_chunks(photos, job):
            everyone = job.predictor.poses_of([seen.image for seen in some], [seen.found for seen in some])
            for seen, people in zip(some, everyone, strict=True):
                _write_photo(seen, people, job)
                progress.update(1)
        progress.update(0 if job.summary.stopped else len(photos) - progress.n)  # those that were skipped


def _photos_in_chunks(photos: Sequence[Photo], job: Job) -> Iterator[list[SeenPhoto]]:
    """Photos whose crops share batches; read as they are needed."""
    some: list[SeenPhoto] = []
    for photo in photos:
        if job.stop():
            job.summary.stopped = True
            break
        try:
            image = read_image(photo.path.parent, photo.path.name, upright=True)
            some.append(SeenPhoto(photo, image, job.detect(image, photo.name)))
        except UserError as error:
            job.summary.skipped.append(Skipped(photo.name, str(error)))
        if len(some) == TOGETHER or sum(seen.image.size for seen in some) >= 3 * PIXELS:
            yield some
            some = []
    if some:
        yield some


def _write_photo(seen: SeenPhoto, people: Sequence[FoundPerson], job: Job) -> None:
    name, image, out, card = seen.photo.name, seen.image, job.options.out, job.predictor.estimator.card
    more: dict[str, Any] = {}
    if job.options.draw:
        path = job.names.new(name, "_pose" + suffix_for(name, image))
        save_picture(path, draw_people(image, people, card.skeleton))
        more["picture"] = path.relative_to(out).as_posix()
    if job.options.maps:
        paths = [job.names.new(name, f"_maps{number}.png") for number in range(1, len(people) + 1)]
        for path, person in zip(paths, people, strict=True):
            save_picture(path, draw_maps(image, person, card))
        more["maps"] = [path.relative_to(out).as_posix() for path in paths]
    job.files.add(name, image.shape[1], image.shape[0], people, **more)
    job.summary.images += 1
    job.summary.people += len(people)
    if not people:
        job.summary.empty.append(name)


SeenFrame = tuple[Frame, Detections]


def look_at_video(source: Video | Camera, job: Job) -> None:
    """Poses of all frames, in order, a few in memory at a time; one that cannot be read is skipped."""
    try:
        with closing(Frames(source, job.options.frames)) as frames:
            _look(source, frames, job)
    except UserError as error:
        job.summary.skipped.append(Skipped(source.name, str(error)))


def _look(source: Video | Camera, frames: Frames, job: Job) -> None:
    stream = _frames_in_chunks(source, frames, job)
    first = next(stream, None)
    if first is None:
        if not job.summary.stopped:
            raise UserError(f"{source.path if isinstance(source, Video) else source.name}: no frame could be read")
        return
    path = job.names.new(source.name, "_pose.mp4") if job.options.draw else None
    people = with_people = 0
    start, pace = first[0][0].time_s, Pace(frames.rate, uneven=True)  # a camera's: as fast as its frames are looked at
    if path is not None and isinstance(source, Video):
        pace = pace_of(source, frames.rate, job.options.frames)
    output = nullcontext(None) if path is None else video_file(path, pace.rate)
    with bar(frames.count, source.name, " frames") as progress, output as drawn:
        for some in chain([first], stream):
            found = _write_frames(source, some, drawn, start if pace.uneven else None, job)
            people, with_people = people + sum(found), with_people + sum(number > 0 for number in found)
            progress.update(len(some))
    job.summary.videos.append(
        {
            "video": source.name,
            "frames": frames.read,
            "frames_with_people": with_people,
            "rate": round(frames.rate, 4),
            "drawn_rate": None if path is None else round(pace.rate, 4),
            "ends_early": frames.ends_early and not job.summary.stopped,
            "frames_expected": frames.count,
            "picture": None if path is None else path.relative_to(job.options.out).as_posix(),
        }
    )
    job.summary.images += frames.read
    job.summary.people += people


def _frames_in_chunks(source: Video | Camera, frames: Frames, job: Job) -> Iterator[list[SeenFrame]]:
    """Frames whose crops share batches, read as they are needed. Ctrl-C is a camera's regular end."""
    if job.stop():
        job.summary.stopped = True
        return
    some: list[SeenFrame] = []
    for frame in frames:
        some.append((frame, job.detect(frame.image, f"{source.name}#{frame.number}")))
        if len(some) == TOGETHER or sum(seen.image.size for seen, _ in some) >= 3 * PIXELS:
            yield some
            some = []
        if job.stop():
            job.summary.stopped = isinstance(source, Video)
            break
    if some:
        yield some


def _write_frames(
    source: Video | Camera, some: Sequence[SeenFrame], drawn: Writer | None, start_s: float | None, job: Job
) -> list[int]:
    """How many people are in each frame. Those whose times count are drawn at theirs, from `start_s` on."""
    skeleton = job.predictor.estimator.card.skeleton
    everyone = job.predictor.poses_of([frame.image for frame, _ in some], [found for _, found in some])
    for (frame, _), people in zip(some, everyone, strict=True):
        if drawn is not None:
            picture = draw_people(frame.image, people, skeleton)
            drawn.add(picture, None if start_s is None else frame.time_s - start_s)
        height, width = frame.image.shape[:2]
        name = f"{source.name}#{frame.number}"
        job.files.add(name, width, height, people, frame=frame.number, time_s=frame.time_s)
    return [len(people) for people in everyone]


def run(found: Found, predictor: PosePredictor, options: Options, detector: str = "") -> Summary:
    """Look at everything, in order; what fails is skipped and noted. Ctrl-C ends it with whole files.

    Args:
        detector: its name, for the files.

    Raises:
        UserError: the results cannot be written, or maps are asked of a network without part detectors.
    """
    card = predictor.estimator.card
    if options.maps and predictor.estimator(np.zeros((1, card.size_px, card.size_px, 3), np.uint8)).part_maps is None:
        raise UserError(f"maps: the network {card.name} has no part detectors; leave maps=true away")
    summary = Summary(skipped=[*found.skipped])
    names = Names(options.out, (item.path for item in found.items if not isinstance(item, Camera)))
    try:
        files = PoseFiles(options.out, card, detector, found.folder)
        with files, stoppable() as stop:
            job = Job(predictor, options, names, files, summary, stop)
            for _, group in groupby(found.items, key=lambda item: isinstance(item, Photo)):
                items = [*group]
                look_at_photos([item for item in items if isinstance(item, Photo)], job)
                for item in items:
                    if not isinstance(item, Photo) and not summary.stopped:
                        look_at_video(item, job)
                if summary.stopped:
                    break
            files.close_with(
                videos=summary.videos,
                skipped=[one._asdict() for one in summary.skipped],
                ignored=found.ignored,
                finished=not summary.stopped,
            )
    except OSError as error:
        raise UserError(f"{error.filename or options.out}: cannot be written ({error.strerror or error})") from error
    return summary


class Names:
    """Hands out file names below a folder.

    Args:
        out: the folder.
        reserved: files that are never to be overwritten, absolute.
    """

    def __init__(self, out: Path, reserved: Iterable[Path] = ()) -> None:
        self._out = out
        self._taken = {_key(path.resolve()) for path in reserved}

    def new(self, name: str, ending: str) -> Path:
        """`<folders>/<stem><ending>`; with the whole name, or a number too, where that is taken.

        Args:
            name: a source's, relative, with slashes.
            ending: such as _pose.jpg.
        """
        source = PurePosixPath(name)
        numbered = (f"{source.name}_{number}" for number in itertools.count(2))
        for stem in itertools.chain([source.stem, source.name], numbered):
            path = self._out / source.parent / (stem + ending)
            key = _key(path.resolve())
            if key not in self._taken:
                break
        self._taken.add(key)
        return path


def _key(path: Path) -> str:
    """Equal for names that are one file on any file system."""
    return str(path).casefold()


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

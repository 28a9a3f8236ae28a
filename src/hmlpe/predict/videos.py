"""A video or a camera -> poses and an annotated video, as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from itertools import chain

from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.predict.draw import draw_people
from hmlpe.predict.job import PIXELS, TOGETHER, Job, bar
from hmlpe.predict.pace import Pace, pace_of
from hmlpe.predict.sources import Camera, Skipped, Video
from hmlpe.predict.video import Frame, Frames, Writer, video_file

Seen = tuple[Frame, Detections]


def look_at_video(source: Video | Camera, job: Job) -> None:
    """Poses of all frames, in order, a few in memory at a time; one that cannot be read is skipped."""
    try:
        with closing(Frames(source, job.options.frames)) as frames:
            _look(source, frames, job)
    except UserError as error:
        job.summary.skipped.append(Skipped(source.name, str(error)))


def _look(source: Video | Camera, frames: Frames, job: Job) -> None:
    stream = _chunks(source, frames, job)
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
            found = _write(source, some, drawn, start if pace.uneven else None, job)
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


def _chunks(source: Video | Camera, frames: Frames, job: Job) -> Iterator[list[Seen]]:
    """Frames whose crops share batches, read as they are needed. Ctrl-C is a camera's regular end."""
    if job.stop():
        job.summary.stopped = True
        return
    some: list[Seen] = []
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


def _write(
    source: Video | Camera, some: Sequence[Seen], drawn: Writer | None, start_s: float | None, job: Job
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

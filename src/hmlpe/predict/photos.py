"""Photos -> poses and pictures, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hmlpe.data.sources.images import read_image
from hmlpe.detect.detector import Detections
from hmlpe.errors import UserError
from hmlpe.predict.draw import draw_maps, draw_people
from hmlpe.predict.job import PIXELS, TOGETHER, Image, Job, bar
from hmlpe.predict.people import FoundPerson
from hmlpe.predict.pictures import save_picture, suffix_for
from hmlpe.predict.sources import Photo, Skipped


class Seen(NamedTuple):
    """A photo whose people have been found."""

    photo: Photo
    image: Image
    found: Detections


def look_at_photos(photos: Sequence[Photo], job: Job) -> None:
    """Poses of all photos, in order; one that cannot be read is skipped."""
    if not photos:
        return
    with bar(len(photos), "photos", " photos") as progress:
        for some in _chunks(photos, job):
            everyone = job.predictor.poses_of([seen.image for seen in some], [seen.found for seen in some])
            for seen, people in zip(some, everyone, strict=True):
                _write(seen, people, job)
                progress.update(1)
        progress.update(0 if job.summary.stopped else len(photos) - progress.n)  # those that were skipped


def _chunks(photos: Sequence[Photo], job: Job) -> Iterator[list[Seen]]:
    """Photos whose crops share batches; read as they are needed."""
    some: list[Seen] = []
    for photo in photos:
        if job.stop():
            job.summary.stopped = True
            break
        try:
            image = read_image(photo.path.parent, photo.path.name, upright=True)
            some.append(Seen(photo, image, job.detect(image, photo.name)))
        except UserError as error:
            job.summary.skipped.append(Skipped(photo.name, str(error)))
        if len(some) == TOGETHER or sum(seen.image.size for seen in some) >= 3 * PIXELS:
            yield some
            some = []
    if some:
        yield some


def _write(seen: Seen, people: Sequence[FoundPerson], job: Job) -> None:
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

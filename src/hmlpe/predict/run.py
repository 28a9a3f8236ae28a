"""Sources -> pictures and poses: everything that hmlpe-predict does, but for its command line."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from hmlpe.errors import UserError
from hmlpe.predict.job import Job, Options, Summary, stoppable
from hmlpe.predict.names import Names
from hmlpe.predict.people import PosePredictor
from hmlpe.predict.photos import look_at_photos
from hmlpe.predict.sources import Camera, Found, Photo
from hmlpe.predict.videos import look_at_video
from hmlpe.predict.write import PoseFiles


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

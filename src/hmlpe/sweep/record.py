"""What a sweep writes down beside its runs' own results: sweep.json, and the ends that they could not say."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.files import write_json_atomic
from hmlpe.runs.folder import mark_failed
from hmlpe.sweep.jobs import Job

log = logging.getLogger(__name__)


def write_sweep(folder: Path, jobs: Iterable[Job]) -> None:
    """`<folder>/sweep.json`: how every job of the last call stands. A disk that is full costs no run its life."""
    rows = [
        {
            "job": job.name,
            "overrides": list(job.overrides),
            "folder": str(job.folder),
            "log": str(job.log),
            "found": job.state.kind,
            "outcome": None if job.outcome is None else job.outcome.kind,
            "message": None if job.outcome is None else job.outcome.message,
            "tries": job.attempts,
            "seconds": round(job.seconds, 1),
            "start_seconds": None if job.start_seconds is None else round(job.start_seconds, 3),
            "device": job.slot,
        }
        for job in jobs
    ]
    try:
        write_json_atomic(folder / "sweep.json", {"jobs": rows})
    except OSError as error:
        log.warning("%s: not written (%s)", folder / "sweep.json", error.strerror)


def note_end(job: Job) -> None:
    """Write the reason into the record of a run that has ended without a word. A record that cannot be is said."""
    try:
        mark_failed(job.folder, str(job.outcome))
    except (OSError, UserError) as error:
        log.warning("%s: could not be marked as failed (%s)", job.folder / "result.json", error)

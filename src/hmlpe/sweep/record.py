"""What a sweep writes down beside its runs' own results: sweep.json, and the end of a run that could not say it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.files import read_json, write_json_atomic
from hmlpe.sweep.jobs import Job

log = logging.getLogger(__name__)


def write_sweep(folder: Path, jobs: Sequence[Job]) -> None:
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


def mark_failed(job: Job) -> None:
    """Write the reason into the result.json of a run that says still that it runs."""
    path = job.folder / "result.json"
    try:
        result = read_json(path) if path.is_file() else {}
        if result.get("status") == "running":
            write_json_atomic(path, result | {"status": "failed", "error": str(job.outcome)})
    except (OSError, UserError) as error:
        log.warning("%s: could not be marked as failed (%s)", path, error)

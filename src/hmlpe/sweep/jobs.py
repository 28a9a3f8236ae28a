"""The jobs of a sweep: their configurations, folders and outcomes, and `sweep.json`, which records them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from hmlpe.errors import UserError
from hmlpe.files import write_json_atomic
from hmlpe.row_name import check_row_name
from hmlpe.runs.folder import State, mark_failed
from hmlpe.sweep.outcome import Outcome
from hmlpe.training.settings import TrainSettings
from hmlpe.training.watch import Progress

log = logging.getLogger(__name__)
TRAIN = "train"  # name of the configuration of hmlpe-train; the jobs of other programs' sweeps are not training runs
TRAINING = "hmlpe-train"  # its hydra.job.name, also in a user's own configuration that builds on it


class JobFailed(JobReturn):
    """The return of a job that failed. (Hydra's own JobReturn prints lines before it raises.)"""

    @property
    def return_value(self) -> Any:
        """Raise the job's error, for the sweeper that asks for the value."""
        raise self._return_value

    @return_value.setter
    def return_value(self, value: UserError) -> None:
        self._return_value = value


@dataclass(eq=False)
class Job:
    """One job of a sweep: its configuration, and how far it has got.

    Attributes:
        number: its index in the sweep, from 0.
        overrides: the overrides that make it, without those of hydra's own settings.
        config: its composed configuration.
        folder: where it writes.
        state: what its folder held before the sweep.
        steps: training steps of the whole job, if it starts anew.
        attempts: how many attempts have ended, by kind of outcome.
        slot: name of the slot of the last attempt.
        progress: the last progress that the running attempt reported.
        start_seconds: seconds from the start of the last attempt's process until the job began in it.
        seconds: duration of all attempts together.
        outcome: how it ended; None until it has.
        value: what the job returned.
    """

    number: int
    overrides: Sequence[str]
    config: DictConfig
    folder: Path
    state: State = field(default_factory=lambda: State("missing"))
    steps: float = 0.0
    attempts: dict[str, int] = field(default_factory=dict)
    slot: str = ""
    progress: Progress | None = None
    start_seconds: float | None = None
    seconds: float = 0.0
    outcome: Outcome | None = None
    value: Any = None

    @property
    def name(self) -> str:
        """`<row> · seed <seed>`, or the job's overrides if it has no row."""
        row, seed = self.setting("row.name"), self.setting("seed")
        return f"{row} · seed {seed}" if row is not None else " ".join(self.overrides) or f"job {self.number}"

    def setting(self, name: str, default: Any = None) -> Any:
        """Return the value of a setting; the default if the configuration (of another program, say) lacks it."""
        return OmegaConf.select(self.config, name, default=default)

    @property
    def is_training(self) -> bool:
        """Whether the job is a run of hmlpe-train."""
        return is_training_config(self.config, str(self.config.hydra.job.config_name))

    @property
    def settings(self) -> TrainSettings:
        """The validated settings of the training run. Raises UserError if they are invalid."""
        return TrainSettings.of(self.config)

    @property
    def log(self) -> Path:
        """The file that receives all output of the job's processes."""
        return self.folder / f"{self.config.hydra.job.name}.log"

    def result(self) -> JobReturn:
        """Return what the sweeper gets: the job's value, or an error that is raised when the value is read."""
        finished = self.outcome is not None and self.outcome.kind == "finished"
        found = (JobReturn if finished else JobFailed)(
            overrides=list(self.overrides), cfg=self.config, working_dir=str(self.folder)
        )
        found.status = JobStatus.COMPLETED if finished else JobStatus.FAILED
        found.return_value = self.value if finished else UserError(f"{self.name}: {self.outcome}")
        return found


def compose(
    context: HydraContext,
    base: DictConfig,
    batch: Sequence[Sequence[str]],
    first: int,
    known: Mapping[Path, Job] | None = None,
) -> list[Job]:
    """Compose the jobs of a batch of overrides, numbered from `first`.

    Args:
        known: the jobs of the sweep's earlier batches, by folder.

    Raises:
        UserError: two jobs would share a folder, or a job's folder would be where no report finds it.
    """
    jobs: list[Job] = []
    for number, overrides in enumerate(batch, start=first):
        config = context.config_loader.load_sweep_config(base, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        subdir = str(config.hydra.sweep.subdir)
        folder = Path(str(config.hydra.sweep.dir)) / subdir
        job = Job(number, [word for word in overrides if not word.startswith("hydra.")], config, folder)
        if Path(subdir).name != subdir:
            check_row_name(OmegaConf.select(config, "row.name"), OmegaConf.select(config, "seed"))
            raise UserError(f"hydra.sweep.subdir: must be a plain name, as a report looks no deeper, got {subdir!r}")
        same = next((other for other in jobs if other.folder == folder), None)
        earlier = (known or {}).get(folder)
        # A search may ask for the same job again.
        if earlier is not None and list(earlier.overrides) != list(job.overrides):
            same = earlier
        if same is not None:
            own = [" ".join(w for w in a.overrides if w not in b.overrides) for a, b in ((same, job), (job, same))]
            raise UserError(
                f"{folder}: would be the folder of two runs ({own[0] or 'one'}; {own[1] or 'the same'}); let row.name "
                f"say in what they differ{_example(same, job)}"
            )
        jobs.append(job)
    return jobs


def _example(one: Job, other: Job) -> str:
    """Return a suggested `row.name` that tells the two jobs apart; empty if no plain setting differs."""
    differ = [word.partition("=")[0].lstrip("+") for word in other.overrides if word not in one.overrides]
    plain = [key for key in differ if not OmegaConf.is_config(OmegaConf.select(other.config, key, default={}))]
    name = OmegaConf.select(other.config, "row.name")
    return f": 'row.name={name}_{plain[0].rpartition('.')[2]}${{{plain[0]}}}'" if plain else ""


def is_training_config(config: DictConfig, config_name: str | None) -> bool:
    """Return whether it is a configuration of hmlpe-train."""
    return config_name == TRAIN or OmegaConf.select(config, "hydra.job.name") == TRAINING


def write_sweep(folder: Path, jobs: Iterable[Job]) -> None:
    """Write `<folder>/sweep.json`: the state of every job of the last call.

    If it cannot be written (the disk is full, say), a warning is logged and the runs go on.
    """
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


def mark_job_failed(job: Job) -> None:
    """Write the job's outcome as the error into its `result.json`, for a process that ended without reporting one.

    If that is impossible, a warning is logged.
    """
    try:
        mark_failed(job.folder, str(job.outcome))
    except (OSError, UserError) as error:
        log.warning("%s: could not be marked as failed (%s)", job.folder / "result.json", error)

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
from hmlpe.runs.folder import RunState, mark_failed
from hmlpe.sweep.outcome import Outcome
from hmlpe.training.settings import TrainSettings
from hmlpe.training.watch import Progress

log = logging.getLogger(__name__)
TRAIN = "train"  # name of the configuration of hmlpe-train; the jobs of other programs' sweeps are not training runs
TRAINING = "hmlpe-train"  # its hydra.job.name, also in a user's own configuration that builds on it


class FailedJobReturn(JobReturn):
    """The JobReturn of a failed job, for the sweeper: reading `return_value` raises the job's error.

    (Hydra's own JobReturn prints lines before it raises.)
    """

    @property
    def return_value(self) -> Any:
        """Raise the job's error, as there is no value."""
        raise self._return_value

    @return_value.setter
    def return_value(self, value: UserError) -> None:
        """Set the error that reading raises."""
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
        outcome: how it ended; None until it has ended.
        value: what the job returned.
    """

    number: int
    overrides: Sequence[str]
    config: DictConfig
    folder: Path
    state: RunState = field(default_factory=lambda: RunState("missing"))
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
        """Return `<row> · seed <seed>`, or the job's overrides if it has no row."""
        row, seed = self.get_setting("row.name"), self.get_setting("seed")
        return f"{row} · seed {seed}" if row is not None else " ".join(self.overrides) or f"job {self.number}"

    def get_setting(self, name: str, default: Any = None) -> Any:
        """Return the value of the setting with this dotted name, or the default if the configuration lacks it."""
        return OmegaConf.select(self.config, name, default=default)

    @property
    def is_training(self) -> bool:
        """Return whether the job is a run of hmlpe-train."""
        return is_training_config(self.config, str(self.config.hydra.job.config_name))

    @property
    def settings(self) -> TrainSettings:
        """Return the validated settings of the training run. Raises UserError if they are invalid."""
        return TrainSettings.from_config(self.config)

    @property
    def log_file(self) -> Path:
        """Return the path of the file that receives all output of the job's processes."""
        return self.folder / f"{self.config.hydra.job.name}.log"

    def to_job_return(self) -> JobReturn:
        """Return what the sweeper gets: a JobReturn with the job's value, or one that raises its error when read."""
        finished = self.outcome is not None and self.outcome.kind == "finished"
        found = (JobReturn if finished else FailedJobReturn)(
            overrides=list(self.overrides), cfg=self.config, working_dir=str(self.folder)
        )
        found.status = JobStatus.COMPLETED if finished else JobStatus.FAILED
        found.return_value = self.value if finished else UserError(f"{self.name}: {self.outcome}")
        return found


def compose_jobs(
    context: HydraContext,
    base_config: DictConfig,
    batch: Sequence[Sequence[str]],
    first_number: int,
    earlier_jobs: Mapping[Path, Job] | None = None,
) -> list[Job]:
    """Compose the jobs of a batch of overrides, numbered from `first_number`.

    Args:
        context: Hydra's context of the sweep.
        base_config: the sweep's configuration without the jobs' overrides.
        batch: the overrides of each job.
        first_number: number of the first job.
        earlier_jobs: the jobs of the sweep's earlier batches, by folder.

    Raises:
        UserError: two jobs would share a folder, or a job's folder would be where no report finds it.
    """
    jobs: list[Job] = []
    for number, overrides in enumerate(batch, start=first_number):
        config = context.config_loader.load_sweep_config(base_config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        subdir = str(config.hydra.sweep.subdir)
        folder = Path(str(config.hydra.sweep.dir)) / subdir
        job = Job(number, [word for word in overrides if not word.startswith("hydra.")], config, folder)
        if Path(subdir).name != subdir:
            check_row_name(OmegaConf.select(config, "row.name"), OmegaConf.select(config, "seed"))
            raise UserError(
                f"hydra.sweep.subdir: must be a plain name (reports do not search subfolders), got {subdir!r}"
            )
        conflicting = next((other for other in jobs if other.folder == folder), None)
        earlier = (earlier_jobs or {}).get(folder)
        # A search may ask for the same job again.
        if earlier is not None and list(earlier.overrides) != list(job.overrides):
            conflicting = earlier
        if conflicting is not None:
            differences = [
                " ".join(w for w in a.overrides if w not in b.overrides)
                for a, b in ((conflicting, job), (job, conflicting))
            ]
            raise UserError(
                f"{folder}: would be the folder of two runs ({differences[0] or 'one'}; {differences[1] or 'the same'}"
                f"); make row.name differ between them{_suggest_row_name(conflicting, job)}"
            )
        jobs.append(job)
    return jobs


def _suggest_row_name(first: Job, second: Job) -> str:
    """Return a suggestion, for an error message, of a `row.name` that differs between two jobs; "" if there is none."""
    differ = [word.partition("=")[0].lstrip("+") for word in second.overrides if word not in first.overrides]
    plain = [key for key in differ if not OmegaConf.is_config(OmegaConf.select(second.config, key, default={}))]
    name = OmegaConf.select(second.config, "row.name")
    return f": 'row.name={name}_{plain[0].rpartition('.')[2]}${{{plain[0]}}}'" if plain else ""


def is_training_config(config: DictConfig, config_name: str | None) -> bool:
    """Return whether `config` is one of hmlpe-train, by `config_name` or by the name of Hydra's job."""
    return config_name == TRAIN or OmegaConf.select(config, "hydra.job.name") == TRAINING


def write_sweep_json(folder: Path, jobs: Iterable[Job]) -> None:
    """Write `<folder>/sweep.json`: the state of each of the jobs. The file of an earlier call is replaced.

    If it cannot be written (the disk is full, say), a warning is logged and the runs go on.
    """
    rows = [
        {
            "job": job.name,
            "overrides": list(job.overrides),
            "folder": str(job.folder),
            "log": str(job.log_file),
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

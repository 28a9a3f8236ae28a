"""The jobs of a sweep: their configurations, where each has its folder, what it has come to, and `sweep.json`."""

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


TRAIN = "train"  # the configuration of hmlpe-train; other programs' sweeps are no runs
TRAINING = "hmlpe-train"  # hydra.job.name in it, and so in a configuration of one's own that is made from it


def trains(config: DictConfig, config_name: str | None) -> bool:
    """Whether it is a configuration of hmlpe-train."""
    return config_name == TRAIN or OmegaConf.select(config, "hydra.job.name") == TRAINING


class JobFailed(JobReturn):
    """What a job that failed returned. (Hydra's own prints lines before it raises.)"""

    @property
    def return_value(self) -> Any:
        """Raises the job's error, for the sweeper."""
        raise self._return_value

    @return_value.setter
    def return_value(self, value: UserError) -> None:
        self._return_value = value


@dataclass(eq=False)
class Job:
    """One job and its story."""

    number: int
    overrides: Sequence[str]
    config: DictConfig
    folder: Path
    state: State = field(default_factory=lambda: State("missing"))
    steps: float = 0.0  # of training, if it starts anew
    attempts: dict[str, int] = field(default_factory=dict)  # by how they ended
    slot: str = ""
    progress: Progress | None = None
    start_seconds: float | None = None  # until the last try's process began with the job
    seconds: float = 0.0  # of all tries
    outcome: Outcome | None = None
    value: Any = None  # that it returned

    @property
    def name(self) -> str:
        """`<row> · seed <seed>`, or what the job overrides where it has no row."""
        row, seed = self.asks("row.name"), self.asks("seed")
        return f"{row} · seed {seed}" if row is not None else " ".join(self.overrides) or f"job {self.number}"

    def asks(self, name: str, default: Any = None) -> Any:
        """What its configuration says of a setting; the default if it is another program's, which has none of it."""
        return OmegaConf.select(self.config, name, default=default)

    @property
    def trains(self) -> bool:
        """Whether it is a run of hmlpe-train."""
        return trains(self.config, str(self.config.hydra.job.config_name))

    @property
    def settings(self) -> TrainSettings:
        """Of the run. Raises UserError if they cannot work."""
        return TrainSettings.of(self.config)

    @property
    def log(self) -> Path:
        """Where everything goes that the job's processes print."""
        return self.folder / f"{self.config.hydra.job.name}.log"

    def result(self) -> JobReturn:
        """What a sweeper gets: the job's value, or an error that it raises."""
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
    """The jobs of a batch of overrides, numbered from `first`.

    Args:
        known: the sweep's jobs of earlier batches, by folder.

    Raises:
        UserError: two of them would share a folder, or one would be where no report finds it.
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
        if earlier is not None and list(earlier.overrides) != list(job.overrides):  # a search may ask for one again
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
    """A name for the rows that tells the two apart, if one setting does."""
    differ = [word.partition("=")[0].lstrip("+") for word in other.overrides if word not in one.overrides]
    plain = [key for key in differ if not OmegaConf.is_config(OmegaConf.select(other.config, key, default={}))]
    name = OmegaConf.select(other.config, "row.name")
    return f": 'row.name={name}_{plain[0].rpartition('.')[2]}${{{plain[0]}}}'" if plain else ""

"""Measure the overhead of sweeps: the same jobs by each launcher, and one after another in one process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra import compose
from hydra.core.hydra_config import HydraConfig

from hmlpe.errors import UserError
from hmlpe.files import read_json
from hmlpe.runs.folder import read_record
from hmlpe.training.devices import cores
from hmlpe.training.estimate import seconds_per_step, steps_of
from hmlpe.training.settings import TrainSettings

IN_A_ROW = "in a row"


@dataclass(frozen=True)
class Timing:
    """The time that one launcher took for all jobs.

    Attributes:
        wall: wall-clock seconds of the whole command.
        job_seconds: seconds that the jobs took to train and evaluate, summed over their results.
        start_seconds: seconds from the start of each job's process until the job began; empty where jobs have no
            process of their own.
    """

    wall: float
    job_seconds: float
    start_seconds: tuple[float, ...] = ()

    @property
    def overhead(self) -> float:
        """wall / job_seconds - 1; negative where jobs run side by side."""
        return self.wall / self.job_seconds - 1


def bench_sweep(jobs: int, seconds: float) -> dict[str, Timing]:
    """Time every launcher on the same jobs, run one at a time and then side by side.

    Each job trains the slim network in fp32 on one thread.

    Args:
        jobs: number of jobs.
        seconds: approximate duration of one job.

    Returns:
        The time taken, by name of the launcher; `IN_A_ROW` is one process without a launcher.

    Raises:
        UserError: a sweep failed, or there is no prepared pack.
    """
    words = [word for word in HydraConfig.get().overrides.task if not word.startswith(("bench.", "trainer."))]
    words += ["network=slim", "trainer.threads=1", "trainer.precision=32-true", "trainer.progress=none", "logger=csv"]
    job = TrainSettings.of(compose("train", words))
    epoch_seconds = seconds_per_step(job) * steps_of(job) / job.epochs
    words.append(f"epochs={max(1, round(seconds / epoch_seconds))}")
    seeds = list(range(1, jobs + 1))
    launchers = {"isolated": "isolated hydra.launcher.n_jobs=1", "basic": "basic"}
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        launchers |= {"joblib": "joblib hydra.launcher.n_jobs=1"}
    if cores() > 1:
        launchers |= {f"{name}, side by side": f"{name} hydra.launcher.n_jobs={min(cores(), len(seeds))}"
                      for name in ("isolated", "joblib") if name in launchers}  # fmt: skip
    with TemporaryDirectory() as folder:
        sources = HydraConfig.get().runtime.config_sources
        configs = next(source.path for source in sources if source.provider == "main")
        row = [[*words, f"seed={seed}", "study=row", f"paths.outputs={folder}"] for seed in seeds]
        row_command = ["-m", "hmlpe.sweep.in_a_row", json.dumps([configs, row])]
        found = {IN_A_ROW: _timing(row_command, Path(folder) / "row")}
        for name, launcher in launchers.items():
            study = name.replace(", ", "_").replace(" ", "_")
            sweep = ["-m", "hmlpe.cli.train", "-m", *words, f"seed={','.join(map(str, seeds))}", f"study={study}"]
            sweep += [f"paths.outputs={folder}", *f"hydra/launcher={launcher}".split()]
            found[name] = _timing(sweep, Path(folder) / study)
    return found


def _timing(command: list[str], study: Path) -> Timing:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        raise UserError(f"{study.name}: ended with {done.returncode}: {last}")
    own = sum(read_record(folder).get("seconds") or 0.0 for folder in study.glob("*/"))
    record = study / "sweep.json"
    jobs = read_json(record)["jobs"] if record.is_file() else []
    return Timing(wall, own, tuple(job["start_seconds"] for job in jobs))

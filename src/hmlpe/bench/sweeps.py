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
from hmlpe.runs.folder import read_result_json
from hmlpe.training.devices import core_count
from hmlpe.training.estimate import estimate_steps, seconds_per_step
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
        """Return wall / job_seconds - 1; it is negative where jobs run side by side."""
        return self.wall / self.job_seconds - 1


def time_launchers(job_count: int, job_seconds: float) -> dict[str, Timing]:
    """Measure how long each launcher takes for the same jobs, run one at a time and then side by side.

    Each job trains the slim network in fp32 on one thread.

    Args:
        job_count: number of jobs.
        job_seconds: approximate duration of one job.

    Returns:
        The time taken, by name of the launcher; `IN_A_ROW` is one process without a launcher.

    Raises:
        UserError: a sweep failed, or there is no prepared pack.
    """
    words = [word for word in HydraConfig.get().overrides.task if not word.startswith(("bench.", "trainer."))]
    words += ["network=slim", "trainer.threads=1", "trainer.precision=32-true", "trainer.progress=none", "logger=csv"]
    job = TrainSettings.from_config(compose("train", words))
    epoch_seconds = seconds_per_step(job) * estimate_steps(job) / job.epochs
    words.append(f"epochs={max(1, round(job_seconds / epoch_seconds))}")
    seeds = list(range(1, job_count + 1))
    launchers = {"isolated": "isolated hydra.launcher.n_jobs=1", "basic": "basic"}
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        launchers |= {"joblib": "joblib hydra.launcher.n_jobs=1"}
    if core_count() > 1:
        launchers |= {f"{name}, side by side": f"{name} hydra.launcher.n_jobs={min(core_count(), len(seeds))}"
                      for name in ("isolated", "joblib") if name in launchers}  # fmt: skip
    with TemporaryDirectory() as folder:
        sources = HydraConfig.get().runtime.config_sources
        configs = next(source.path for source in sources if source.provider == "main")
        row = [[*words, f"seed={seed}", "study=row", f"paths.outputs={folder}"] for seed in seeds]
        row_command = ["-m", "hmlpe.bench.in_a_row", json.dumps([configs, row])]
        found = {IN_A_ROW: _time_command(row_command, Path(folder) / "row")}
        for name, launcher in launchers.items():
            study = name.replace(", ", "_").replace(" ", "_")
            sweep = ["-m", "hmlpe.cli.train", "-m", *words, f"seed={','.join(map(str, seeds))}", f"study={study}"]
            sweep += [f"paths.outputs={folder}", *f"hydra/launcher={launcher}".split()]
            found[name] = _time_command(sweep, Path(folder) / study)
    return found


def _time_command(arguments: list[str], study_folder: Path) -> Timing:
    """Run Python with these arguments, and return its time and that of the jobs whose results it writes."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise UserError(f"{study_folder.name}: failed with exit code {done.returncode}: {last}")
    own = sum(read_result_json(folder).get("seconds") or 0.0 for folder in study_folder.glob("*/"))
    record = study_folder / "sweep.json"
    jobs = read_json(record)["jobs"] if record.is_file() else []
    return Timing(wall, own, tuple(job["start_seconds"] for job in jobs))

"""A small sweep, as a user calls it, and what it leaves behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..programs import TINY as SMALLEST

REFERENCE = "isolated"  # the launcher whose table the others must give, byte by byte
EPOCHS = 20  # long enough to be killed in between
TINY = [*SMALLEST, "trainer.accelerator=cpu"]
RUNS = ["regression_only_s1", "regression_only_s2", "det_0.1_s1", "det_0.1_s2"]
SWEEP = [
    "-m",
    "experiment=weight_ablation",
    "row=regression_only,det_0.1",
    "seed=1,2",
    f"epochs={EPOCHS}",
    "logger=csv",
]


def program(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"hmlpe.cli.{name}", *arguments]


def sweep(launcher: str, outputs: str, *overrides: str) -> list[str]:
    """Into outputs/<outputs>, a relative path, which the jobs must take from the caller's folder."""
    return program("train", *SWEEP, f"hydra/launcher={launcher}", f"paths.outputs=outputs/{outputs}", *TINY, *overrides)


def finish(
    command: list[str], folder: Path, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done


def study(folder: Path, outputs: str) -> Path:
    return folder / "outputs" / outputs / "weight_ablation"


def table(folder: Path, outputs: str) -> bytes:
    finish(program("report", "study=weight_ablation", f"paths.outputs=outputs/{outputs}"), folder)
    return (study(folder, outputs) / "table.csv").read_bytes()


def files(folder: Path, outputs: str) -> set[str]:
    """What lies in the study's folder, but for the engine's and the launcher's own files. A resumed run has two csv."""
    top = study(folder, outputs)
    names = (str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
    found = {re.sub(r"csv/version_\d+/", "csv/", name) for name in names}
    return {path for path in found if not path.startswith((".submitit/", ".lock", "sweep.json"))}


def results(folder: Path, outputs: str) -> dict[str, tuple[int, bytes]]:
    """When each finished run's result was written, and what it says."""
    paths = [study(folder, outputs) / run / "result.json" for run in RUNS]
    return {
        path.parent.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in paths
        if path.is_file() and b'"status": "finished"' in path.read_bytes()
    }


@contextmanager
def started(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> Generator[subprocess.Popen[str], None, None]:
    """A sweep that is not waited for; it is killed at the end of the block, if it is still there."""
    with (folder / "sweep.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=log, stderr=log, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def output(folder: Path) -> str:
    """What the sweep that was started last has said."""
    return (folder / "sweep.log").read_text()


def wait_for(what: Callable[[], object], process: subprocess.Popen[str], seconds: float = 300) -> None:
    """Until `what` is true, while the sweep goes on."""
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, f"the sweep has ended with {process.returncode}"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def ended(process: subprocess.Popen[str]) -> int:
    """The exit code, once the sweep ends."""
    return process.wait(timeout=600)

"""Sweeps on a real SLURM and a real Ray: the reference launcher's table, nothing twice, and killed jobs go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from ..examples import own
from ..programs import of_packs
from .sweeps import (
    REFERENCE,
    RUNS,
    TINY,
    ended,
    files,
    finish,
    output,
    program,
    results,
    started,
    study,
    sweep,
    table,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SLURM = "hydra.launcher.mem_gb=1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared people, and the sweep by the reference launcher."""
    folder = tmp_path_factory.mktemp("cluster")
    finish(program("prepare", *of_packs(*TINY)), folder)
    finish(sweep(REFERENCE, "all"), folder)
    return folder


def same_as_reference(folder: Path, outputs: str) -> None:
    assert table(folder, outputs) == table(folder, "all")
    assert files(folder, outputs) == files(folder, "all")


def begun(folder: Path, outputs: str, run: str) -> bool:
    """Whether a run can be gone on with: an epoch is whole."""
    return (study(folder, outputs) / run / "checkpoints" / "resume.ckpt").is_file()


def log_of(folder: Path, outputs: str, run: str) -> str:
    return (study(folder, outputs) / run / "hmlpe-train.log").read_text()


def test_slurm_gives_the_same_table_and_nothing_twice(folder: Path, slurm: dict[str, str]) -> None:
    command = sweep("submitit_slurm", "slurm", SLURM)
    finish(command, folder, slurm)
    same_as_reference(folder, "slurm")
    logs = list(study(folder, "slurm").glob(".submitit/*/*_log.out"))
    assert len(logs) == len(RUNS) and all("val/regression_error" in log.read_text() for log in logs)
    before = results(folder, "slurm")
    assert set(before) == set(RUNS)
    finish(command, folder, slurm)
    assert results(folder, "slurm") == before


def test_slurm_jobs_that_are_cancelled_or_preempted_go_on(folder: Path, slurm: dict[str, str]) -> None:
    """A preempted job within the same sweep; a cancelled one, of which submitit hears by sacct alone, at the next."""
    cancelled, preempted, *others = RUNS
    command = sweep("submitit_slurm", "slurm_killed", SLURM)
    with started(command, folder, slurm) as process:
        # Given a signal, scancel asks for minutes about a job that then queues itself again: it is not waited for.
        for run, order in ((cancelled, ["scancel"]), (preempted, ["timeout", "10", "scancel", "--signal=USR2"])):
            wait_for(lambda run=run: begun(folder, "slurm_killed", run), process)
            (job,) = study(folder, "slurm_killed").glob(f".submitit/*_{RUNS.index(run)}")
            done = subprocess.run([*order, job.name], env=slurm, capture_output=True, text=True, timeout=120)
            assert done.returncode in (0, 124), done.stderr
        wait_for(lambda: set(results(folder, "slurm_killed")) == {preempted, *others}, process, 400)
        assert "resuming from" in log_of(folder, "slurm_killed", preempted)
        process.send_signal(signal.SIGINT)
        assert ended(process) == 130
    before = results(folder, "slurm_killed")
    finish(command, folder, slurm)
    after = results(folder, "slurm_killed")
    assert {run: after[run] for run in before} == before
    assert "resuming from" in log_of(folder, "slurm_killed", cancelled)
    same_as_reference(folder, "slurm_killed")


def test_slurm_that_refuses_is_one_line(folder: Path, slurm: dict[str, str]) -> None:
    command = sweep("submitit_slurm", "slurm_refused", "hydra.launcher.partition=nowhere")
    done = subprocess.run(command, cwd=folder, env=slurm, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: hydra/launcher, by hydra_submitit_launcher: ")
    assert "nowhere" in done.stderr or "partition" in done.stderr
    assert "Traceback" not in done.stderr


def test_ray_gives_the_same_table_and_nothing_twice(folder: Path, ray: dict[str, str]) -> None:
    command = sweep("ray", "ray")
    finish(command, folder, ray)
    same_as_reference(folder, "ray")
    before = results(folder, "ray")
    assert set(before) == set(RUNS)
    finish(command, folder, ray)
    assert results(folder, "ray") == before


def kill_workers(folder: Path) -> None:
    """SIGKILL to the processes of Ray that work in this folder."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, where = (process / "cmdline").read_bytes(), (process / "cwd").readlink()
        except OSError:  # it has ended, or is another user's
            continue
        if name.startswith(b"ray::") and where == folder:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    assert killed


def test_ray_workers_that_are_killed_go_on(folder: Path, ray: dict[str, str]) -> None:
    """Without retries at the next call; with them, as is the default, within the same sweep."""
    first, *_, last = RUNS
    with started(sweep("ray", "ray_killed", "hydra.launcher.ray.remote.max_retries=0"), folder, ray) as process:
        wait_for(lambda: begun(folder, "ray_killed", first), process)
        kill_workers(folder)
        assert ended(process) == 2
    assert "error: hydra/launcher, by hydra_ray_launcher: " in output(folder)
    assert "Traceback" not in output(folder)

    with started(sweep("ray", "ray_killed"), folder, ray) as process:
        wait_for(lambda: begun(folder, "ray_killed", last), process, 400)
        before = results(folder, "ray_killed")
        kill_workers(folder)
        assert ended(process) == 0, output(folder)
    after = results(folder, "ray_killed")
    assert {run: after[run] for run in before} == before
    assert all("resuming from" in log_of(folder, "ray_killed", run) for run in (first, last))
    same_as_reference(folder, "ray_killed")


def test_ray_that_refuses_is_one_line(folder: Path, ray: dict[str, str]) -> None:
    environment = ray | {"RAY_ADDRESS": "nowhere"}  # a good one that nobody listens at is tried for minutes
    done = subprocess.run(
        sweep("ray", "ray_refused"), cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: hydra/launcher, by hydra_ray_launcher: ")
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a package, configurations and prepared people of one's own."""
    folder = tmp_path_factory.mktemp("own")
    own.write_set(folder)
    site = own.install(folder)
    finish(program("prepare", *own.OWN, "prepare.sheet=0"), folder, os.environ | {"PYTHONPATH": str(site)})
    return folder


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_a_package_of_ones_own_reaches_the_workers(
    engine: str, own_folder: Path, request: pytest.FixtureRequest
) -> None:
    """They are other processes, which find it and its configurations, and all of it stands in the results."""
    environment = request.getfixturevalue(engine) | {"PYTHONPATH": str(own_folder / "site")}
    launcher = {"slurm": ["hydra/launcher=submitit_slurm", SLURM], "ray": ["hydra/launcher=ray"]}[engine]
    outputs = own_folder / "outputs" / engine
    command = program("train", "-m", *own.SWEEP, f"paths.outputs=outputs/{engine}", *launcher)
    finish(command, own_folder, environment)
    written = {path.parent.name: path.read_bytes() for path in outputs.glob("own/*/result.json")}
    assert sorted(written) == own.RUNS
    for name, text in written.items():
        result = json.loads(text)
        assert result["status"] == "finished" and result["balance"]["name"] == "warming"
        assert result["tasks"]["facing"] == {"symbol": "f"}
        asked = "facing" in name
        assert ("facing_accuracy" in result["metrics"]["test"]) == asked == ("facing" in result["balance"]["weights"])
    finish(command, own_folder, environment)
    assert {path.parent.name: path.read_bytes() for path in outputs.glob("own/*/result.json")} == written

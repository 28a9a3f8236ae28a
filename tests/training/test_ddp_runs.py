"""Runs over two processes as a user types them: alone and under torchrun, killed and resumed; and what is refused."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.training.build import config_digest
from hmlpe.training.devices import RANK_VARIABLES, check_sweep, world_size
from hmlpe.training.launch import first_error
from hmlpe.training.run import find_run_state
from hmlpe.training.settings import TrainSettings

from ..programs import TINY as SMALLEST
from ..programs import finish as finish_warm
from ..programs import of_packs, run

TINY = [*SMALLEST, "data.source.test=13", "trainer.precision=32-true", "logger=csv"]
NO_DROPOUT = ["network.head.keep=1.0", "optim.optimizer._target_=torch.optim.SGD"]  # comparable with one process
RUN = "det_0.1_s1"
LONG = 600  # seconds; three programs that start on two cores may have to share them


def words(folder: Path, *overrides: str) -> list[str]:
    return [f"paths.data={folder / 'data'}", f"paths.outputs={folder / 'outputs'}", *TINY, *overrides]


def train(folder: Path, *overrides: str, launch: tuple[str, ...] = ()) -> list[str]:
    """The command, by itself or under torchrun with the options `launch`."""
    torchrun = ["-m", "torch.distributed.run", *launch] if launch else []
    return [sys.executable, *torchrun, "-m", "hmlpe.cli.train", *words(folder, *overrides)]


def finish(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def of(folder: Path, study: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Result and weights of a run."""
    run = folder / "outputs" / study / RUN
    checkpoint = torch.load(run / "checkpoints" / "model.ckpt", weights_only=True)
    return json.loads((run / "result.json").read_text()), checkpoint["state_dict"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ddp_runs")
    finish_warm("prepare", *of_packs(*words(folder)), "prepare.sheet=0")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_typed_alone_under_torchrun_and_over_two_nodes_it_is_one_result(folder: Path) -> None:
    """The same weights to the last bit, and those of one process but for rounding."""
    recipe = ["epochs=3", *NO_DROPOUT]
    log = finish(train(folder, "study=alone", "trainer=ddp", *recipe))
    assert log.count("epoch 3/3") == 1 and "over 2 processes" in log and "Warning" not in log
    run = folder / "outputs" / "alone" / RUN
    assert {path.name for path in run.iterdir()} == {
        ".lock", "checkpoints", "config.yaml", "csv", "hmlpe-train.log", "people", "result.json"}  # fmt: skip
    assert [path.name for path in (run / "csv").iterdir()] == ["version_0"]
    assert "epoch 3/3" in (run / "hmlpe-train.log").read_text()
    finish(train(folder, "study=torchrun", "trainer=ddp", *recipe, launch=("--nproc-per-node=2",)))
    meeting = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:29641")
    node = train(folder, "study=nodes", "trainer=ddp", *recipe, launch=(*meeting, "--local-addr=127.0.0.1"))
    other = subprocess.Popen(node, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finish(node)
    assert other.wait(LONG) == 0
    finish(train(folder, "study=one", *recipe))

    alone, one = of(folder, "alone"), of(folder, "one")
    for study in ("torchrun", "nodes"):
        found = of(folder, study)
        for part in ("metrics", "mean_pose", "identity", "steps", "best_epoch", "people"):
            assert found[0][part] == alone[0][part], (study, part)
        assert found[0]["status"] == "finished"
        assert all(torch.equal(value, found[1][name]) for name, value in alone[1].items()), study
    assert alone[0]["steps"] == one[0]["steps"] == 9 and list(alone[1]) == list(one[1])
    assert alone[0]["identity"]["config"] != one[0]["identity"]["config"]
    for name, value in one[1].items():
        torch.testing.assert_close(alone[1][name], value, rtol=1e-3, atol=1e-4)
    for split, values in one[0]["metrics"].items():
        for key in ("regression_error", "detection_error"):
            assert alone[0]["metrics"][split][key] == pytest.approx(values[key], rel=1e-4)
    log = finish(train(folder, "study=alone", "trainer=ddp", *recipe))
    assert log.count("already finished, skipped") == 1

    start = [f"init_from={run / 'checkpoints' / 'model.ckpt'}", "fit=false", *NO_DROPOUT]
    finish(train(folder, "study=again", *start))  # the two processes' checkpoint, evaluated by one
    again = json.loads((folder / "outputs" / "again" / RUN / "result.json").read_text())
    for split, values in again["metrics"].items():
        assert values == pytest.approx(alone[0]["metrics"][split], rel=1e-6, abs=1e-6, nan_ok=True)


def started(command: list[str], checkpoint: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A run in a session of its own that has written a checkpoint, and its ranks in order."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0  # of the run that was killed last
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + LONG
    while not written_since(checkpoint, before) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert written_since(checkpoint, before) and process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(ranks) == 2
    return process, ranks


def written_since(checkpoint: Path, before: int) -> bool:
    try:
        return checkpoint.stat().st_mtime_ns > before
    except FileNotFoundError:  # one takes the other's place
        return False


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_killed_in_any_way_it_goes_on_to_the_identical_result(folder: Path) -> None:
    """One rank, the parent alone, Ctrl-C, SIGTERM, all at once; the last command ends where an undisturbed run does.

    Each goes on with another number of loading processes.
    """
    recipe = ["epochs=30", "trainer=ddp"]
    finish(train(folder, "study=whole", *recipe))
    commands = [train(folder, "study=killed", *recipe, f"trainer.workers={workers}") for workers in (0, 1, 2)]
    run = folder / "outputs" / "killed" / RUN
    resume, record = run / "checkpoints" / "resume.ckpt", run / "result.json"
    killed = "rank 1 of 2 was killed (SIGKILL); rerun the same command to resume after the last full epoch"
    for number, (how, code, status, error) in enumerate((
        ("rank", 2, "failed", f"{killed}"),
        ("parent", -signal.SIGKILL, "running", None),
        ("ctrl-c", 130, "failed", "interrupted"),
        ("term", 143, "failed", "interrupted"),
        ("all", -signal.SIGKILL, "running", None),
    )):  # fmt: skip
        process, ranks = started(commands[number % 3], resume)
        if how == "rank":
            os.kill(ranks[1], signal.SIGKILL)
        elif how in ("parent", "term"):
            os.kill(process.pid, signal.SIGKILL if how == "parent" else signal.SIGTERM)
        else:
            os.killpg(process.pid, signal.SIGINT if how == "ctrl-c" else signal.SIGKILL)
        log = process.communicate(timeout=LONG)[0]
        assert process.returncode == code, (how, log)
        assert gone(ranks), how
        found = json.loads(record.read_text())
        assert (found["status"], found.get("error")) == (status, error), how
        assert "Traceback" not in log, log
        assert how != "rank" or log.strip().splitlines()[-1] == f"error: {killed}"
    assert "resuming from" in finish(commands[1])
    whole, found = of(folder, "whole"), of(folder, "killed")
    assert all(torch.equal(value, found[1][name]) for name, value in whole[1].items())
    assert whole[0]["metrics"] == found[0]["metrics"] and not resume.exists()


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_a_run_that_is_stopped_under_torchrun_says_so(folder: Path) -> None:
    command = train(folder, "study=stopped", "epochs=500", "trainer=ddp", launch=("--nproc-per-node=2",))
    resume = folder / "outputs" / "stopped" / RUN / "checkpoints" / "resume.ckpt"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LONG
    while not resume.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(LONG) != 0
    assert json.loads((resume.parent.parent / "result.json").read_text())["error"] == "interrupted"


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_what_a_rank_refuses_is_one_line(folder: Path) -> None:
    for bad, message in (
        (["data.validation.fraction=0.02"], "trainer.devices: 2 is more than the 1 people of val"),
        (["row.weights.detection=-1"], "row.weights.detection: a weight must be"),
    ):
        command = train(folder, "study=bad", "trainer=ddp", *bad)
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith(f"error: {message}")
        assert not (folder / "outputs" / "bad" / RUN / "result.json").exists()


def test_a_sweep_under_another_launcher_is_refused_before_its_first_job(folder: Path) -> None:
    """Also where the number of devices is itself swept; then the row alone fails."""
    sweep = ["-m", *words(folder, "study=sweep", "trainer=ddp")]
    done = run("train", *sweep, "row=regression_only,det_0.1")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "trainer.devices: a run on 2 devices within a sweep needs a process of its own" in line
    assert "add hydra/launcher=isolated" in line
    assert not (folder / "outputs" / "sweep").exists()


def composed(*overrides: str) -> TrainSettings:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return TrainSettings.from_config(compose("train", list(overrides)))


def test_which_sweeps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    two = composed("trainer.devices=2", "trainer.accelerator=cpu")
    basic = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
    check_sweep(composed().trainer, basic)
    check_sweep(two.trainer, "hydra_plugins.hmlpe_isolated_launcher.launcher.IsolatedLauncher")
    with pytest.raises(UserError, match="which BasicLauncher does not"):
        check_sweep(two.trainer, basic)
    for name in RANK_VARIABLES:
        monkeypatch.setenv(name, "1")
    with pytest.raises(UserError, match="under torchrun every process would sweep"):
        check_sweep(composed().trainer, basic)


def test_devices_are_a_number_of_the_environment_or_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    cpu = "trainer.accelerator=cpu"
    assert world_size(composed(cpu).trainer) == 1
    assert world_size(composed(cpu, "trainer.devices=3").trainer) == 3
    assert world_size(composed(cpu, "trainer=ddp").trainer) == 2
    assert world_size(composed(cpu, "trainer=ddp", "trainer.devices=4").trainer) == 4
    digests = [config_digest(composed(cpu, one)) for one in ("trainer.devices=1", "trainer.devices=2", "trainer=ddp")]
    assert digests[0] != digests[1] == digests[2]
    for bad, words in (
        ("trainer.devices=0", "whole number of at least 1, or auto, got 0"),
        ("trainer.devices=all", "or auto, got 'all'"),
        ("trainer.devices=[0]", r"got \[0\]"),
        ("trainer.devices=3", "optim.batch_size: 64 people do not divide evenly over trainer.devices: 3"),
    ):
        with pytest.raises(UserError, match=words):
            find_run_state(composed(cpu, bad), tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert world_size(composed("trainer=ddp").trainer) == 4
    with pytest.raises(UserError, match="8 GPUs requested, but this machine shows 4"):
        world_size(composed("trainer.devices=8").trainer)
    environment = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert world_size(composed().trainer) == 1  # not all that makes a rank
    monkeypatch.setenv("MASTER_PORT", "1")
    assert world_size(composed().trainer) == 8


def test_the_first_error_is_what_counts_and_a_silent_end_comes_before_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "0").write_bytes(pickle.dumps((2.0, RuntimeError("connection closed"), "Traceback: connection\n")))
    assert "rank 1 of 2 was killed (SIGKILL)" in str(first_error(tmp_path, {0: 1, 1: -9}, 2))
    (tmp_path / "1").write_bytes(pickle.dumps((1.0, UserError("no pack"), "")))
    assert str(first_error(tmp_path, {0: 1, 1: 1}, 2)) == "no pack"
    assert first_error(tmp_path, {0: 0, 1: 0}, 2) is None and first_error(tmp_path, {}, 2) is None
    assert capsys.readouterr().err == ""
    (tmp_path / "0").write_bytes(pickle.dumps((0.5, RuntimeError("a bug"), "Traceback: a bug\n")))
    assert str(first_error(tmp_path, {0: 1}, 2)) == "a bug" and capsys.readouterr().err == "Traceback: a bug\n"

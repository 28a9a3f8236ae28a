"""Sweeps by the command line: complete, skipped, stale, broken, interrupted; each call checks several things."""

import json
import os
import resource
import shlex
import signal
import sys
from pathlib import Path

import pytest

from .programs import Running, call, finish, finish_warm, kill, record, small_disk, sweep, until

FAULTY = [
    "tasks.regression._target_=faulty.Faulty",
    "row=regression_only",
    "row.name=${tasks.regression.how}",
    "seed=0",
    "epochs=1",
]

TOLD = """
from hmlpe.cli.train import main
from hmlpe.sweep.launcher import Isolated
launch = Isolated.launch
def told(self, *batch, **first):
    returns = launch(self, *batch, **first)
    print("VALUES", [one.return_value for one in returns])
    return returns
Isolated.launch = told
main()
"""


def files(folder: Path) -> dict[str, int]:
    """All files and when they changed last."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def last(said: str) -> str:
    return said.strip().splitlines()[-1]


@pytest.fixture(autouse=True)
def faulty_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/sweep/faulty.py, by the programs."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def test_a_sweep_is_looked_at_run_skipped_and_redone(data: Path, tmp_path: Path) -> None:
    command = sweep("row=regression_only,det_1", "seed=0", "epochs=1", data=data, outputs=tmp_path)
    study = tmp_path / "weight_ablation"

    said = finish_warm([*command, "sweep.dry_run=true"])
    assert "det_1 · seed 0: missing" in said
    assert "2 runs: 2 missing; 2 to run, " in said and " at a time: about 1 min of training" in said
    assert set(files(tmp_path)) == {"weight_ablation/multirun.yaml"}
    said = finish_warm([*command, "sweep.dry_run=true", "hydra.launcher.progress=bars"], 2)
    assert last(said) == "error: hydra.launcher.progress: must be auto, table, lines or none, got 'bars'"

    asked = [sys.executable, "-c", TOLD, *command[3:]]  # the same, and what its sweeper is told
    said = finish(asked)
    results = [json.loads((study / name / "result.json").read_text()) for name in ("regression_only_s0", "det_1_s0")]
    values = f"VALUES {[result['metrics']['val']['regression_error'] for result in results]}"
    assert values in said and "all 2 runs: finished" in said
    jobs = record(study)
    assert {name: (job["found"], job["outcome"], job["tries"]) for name, job in jobs.items()} == {
        name: ("missing", "finished", {"finished": 1}) for name in ("regression_only_s0", "det_1_s0")
    }
    for job in jobs.values():
        log = Path(job["log"]).read_text()
        assert "(try 1, cpu, process " in log and ": epoch 1/1, " in log and log.rstrip().endswith("] finished")
    runs = {name: time for name, time in files(study).items() if "/" in name}
    assert not [name for name in runs if name.endswith(".tmp") or "resume" in name]

    stale = study / "det_1_s0" / "result.json"
    stale.write_text(json.dumps(results[1] | {"identity": results[1]["identity"] | {"code": "other"}}))
    left = study / "regression_only_s0" / "checkpoints" / "resume_before.ckpt"
    left.touch()  # by a kill after the record was written
    said = finish_warm(command, 2)
    assert not left.exists()
    assert "/weight_ablation: 2 runs: 1 already finished, 1 stale\n" in said
    assert "of 2 runs: 1 finished, 1 stale" in said
    assert (
        last(said)
        == f"error: det_1 · seed 0: stale: {stale}: was made with different code; sweep.redo=stale replaces it"
    )
    assert "Traceback" not in said
    assert {name for name, time in files(study).items() if runs.get(name) != time and "/" in name} == {
        "det_1_s0/result.json"
    }

    said = finish(["script", "-qec", shlex.join([*asked, "sweep.redo=stale"]), "/dev/null"])  # on a terminal: a table
    assert "1 of 1 finished" in said and "run" in said and "steps/s" in said and "det_1 · seed 0" in said
    assert values in said and "1 already finished, 1 stale; 1 to run, one at a time: about" in said
    again = json.loads(stale.read_text())
    assert all(again[key] == results[1][key] for key in ("identity", "metrics", "steps"))


def test_what_can_befall_a_job_befalls_it_alone(data: Path, tmp_path: Path) -> None:
    """Each ends its own way, with a log, a reason in sweep.json and in its result, and as many tries."""
    hows = ["nothing", "raise_", "exit", "kill_once", "memory", "linger"]
    command = sweep(
        *FAULTY, f"+tasks.regression.how={','.join(hows)}", "hydra.launcher.grace_s=1", data=data, outputs=tmp_path
    )
    said = finish_warm(command, 2)
    study = tmp_path / "weight_ablation"
    jobs = record(study)
    assert {name.removesuffix("_s0"): (job["outcome"], job["tries"]) for name, job in jobs.items()} == {
        "nothing": ("finished", {"finished": 1}),
        "raise_": ("error", {"error": 1}),
        "exit": ("error", {"error": 1}),
        "kill_once": ("finished", {"killed": 1, "finished": 1}),
        "memory": ("out_of_memory", {"out_of_memory": 2}),
        "linger": ("finished", {"finished": 1}),
    }
    assert jobs["raise__s0"]["message"] == "ValueError: this joint is out"
    assert jobs["exit_s0"]["message"] == "ended with exit code 3 without a result"
    assert "of 6 runs: 3 finished, 2 error, 1 out of memory" in said
    assert "raise_ · seed 0: error: ValueError: this joint is out; its log: " in said
    assert last(said) == "error: raise_ · seed 0: error: ValueError: this joint is out"
    assert "Traceback" not in said  # it is in the log
    assert "Traceback" in Path(jobs["raise__s0"]["log"]).read_text()
    assert Path(jobs["kill_once_s0"]["log"]).read_text().count("(try ") == 2
    for name in ("raise_", "exit", "memory"):
        result = json.loads((study / f"{name}_s0" / "result.json").read_text())
        assert result["status"] == "failed"
        assert jobs[f"{name}_s0"]["message"] in result["error"]


def test_a_job_that_hangs_times_out_and_the_first_failure_may_stop_all(data: Path, tmp_path: Path) -> None:
    launcher = ["timeout_s=6", "grace_s=1", "on_failure=stop", "n_jobs=1"]
    words = ["row=det_1,det_10", "seed=0", "epochs=500", *(f"hydra.launcher.{word}" for word in launcher)]
    study = tmp_path / "weight_ablation"
    with Running(sweep(*words, data=data, outputs=tmp_path)) as running:
        until((study / "det_1_s0" / "hmlpe-train.log").exists, "the first job")
        (job,) = running.jobs()
        kill(job, signal.SIGSTOP)
        said = running.end(2)
        assert running.gone() < 5
    jobs = record(study)
    assert (jobs["det_1_s0"]["outcome"], jobs["det_1_s0"]["message"]) == ("timed_out", "after 6 s")
    assert 7 <= jobs["det_1_s0"]["seconds"] < 10
    assert jobs["det_10_s0"]["outcome"] == "interrupted" and not (study / "det_10_s0").exists()
    assert last(said) == "error: det_1 · seed 0: timed out: after 6 s"


def test_one_sweep_at_a_time_interrupted_in_order(data: Path, tmp_path: Path) -> None:
    command = sweep("row=det_1", "seed=0,1", "epochs=500", data=data, outputs=tmp_path)
    study = tmp_path / "weight_ablation"
    states = [study / f"det_1_s{seed}" / "checkpoints" / "resume.ckpt" for seed in (0, 1)]
    with Running(command) as running:
        until(lambda: any(state.exists() for state in states), "a first epoch")
        assert last(finish_warm(command, 2)) == (
            f"error: {study}: this sweep is already running (process {running.pid}); wait for it, or stop it"
        )
        os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C in its terminal
        said = running.end(130)
        assert running.gone() < 5
    assert "interrupted; all 2 runs: interrupted; rerun the same command to resume" in said
    assert "Traceback" not in said
    assert {job["outcome"] for job in record(study).values()} == {"interrupted"}
    kept = [state.parents[1] for state in states if state.exists()]
    assert all(json.loads((run / "result.json").read_text())["error"] == "interrupted" for run in kept)

    with Running(command) as running:
        until(lambda: all("resuming from" in (run / "hmlpe-train.log").read_text() for run in kept), "resuming")
        os.killpg(running.pid, signal.SIGTERM)  # as `timeout` and SLURM do: the fork server gets it too
        said = running.end(143)
        assert running.gone() < 5
    assert "rerun the same command to resume" in said and "Traceback" not in said
    assert all((run / "hmlpe-train.log").read_text().rstrip().endswith("] interrupted") for run in kept)


def test_what_cannot_listen_ends_with_the_launcher(data: Path, tmp_path: Path) -> None:
    """A stopped job reads no pipe, and neither does a fork server that loads."""
    command = sweep("row=det_1", "seed=0", "epochs=500", data=data, outputs=tmp_path)
    with Running(command) as running:
        maps = until(lambda: (pid := running.server()) and Path(f"/proc/{pid}/maps"), "the fork server")
        until(lambda: "libtorch" in maps.read_text(), "it to load torch")
        kill(running.pid)
        assert running.gone() < 2
    with Running(command) as running:
        until(lambda: any(tmp_path.rglob("*.log")), "a job")
        kill(running.jobs()[0], signal.SIGSTOP)
        kill(running.pid)
        assert running.gone() < 2


def test_a_fork_server_whose_launcher_is_gone_before_it_begins_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HMLPE_LAUNCHER", "1")
    assert finish([sys.executable, "-c", "import hmlpe.sweep.preload; print('loaded')"], 1) == ""
    monkeypatch.setenv("HMLPE_LAUNCHER", str(os.getpid()))
    without = "import sys, tempfile, threading; tempfile.mkdtemp = None"  # folders that all jobs would share
    then = "print('loaded', 'wandb' in sys.modules, threading.active_count())"
    assert finish([sys.executable, "-c", f"{without}; import hmlpe.sweep.preload; {then}"]) == "loaded False 1\n"


def test_a_folder_that_cannot_be_written_to_is_one_line(data: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m,ro") as disk:
        where = f"paths.outputs={disk / 'outputs'}"
        for command in (sweep(data=data, outputs=disk / "outputs"), call("train", where, data=data)):
            said = finish_warm(command, 2)
            assert said.splitlines() == [
                f"error: {disk / 'outputs'}: Read-only file system; choose a folder that can be written to"
            ]


def test_a_checkpoint_that_cannot_be_written_is_one_line(data: Path, tmp_path: Path) -> None:
    """The limit on file sizes stands for a full disk; the record says why the run failed."""
    command = call("train", "epochs=1", "logger=csv", f"paths.outputs={tmp_path}", data=data)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, {resource.RLIM_INFINITY}))"
    said = finish_warm([sys.executable, "-c", f"{limit}; from hmlpe.cli.train import main; main()", *command[3:]], 2)
    run = tmp_path / "single" / "det_0.1_s1"
    assert (
        last(said)
        == f"error: {run}/checkpoints/model.ckpt: File too large; raise the limit on the size of files (ulimit -f)"
    )
    assert "Traceback" not in said
    assert "File too large" in json.loads((run / "result.json").read_text())["error"]
    assert not list(run.rglob("*.tmp")) and not list(run.rglob("*.ckpt"))

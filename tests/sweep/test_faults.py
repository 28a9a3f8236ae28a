"""Sweeps that are killed, starved and damaged, for real: the same command once more gives the same table and weights.

`HMLPE_FAULTS=<file>.csv` keeps the figures (`make faults`).
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from hmlpe.files import digest_of, read_json
from hmlpe.lock import locked
from hmlpe.runs.folder import CHOSEN, RESUME, RESUME_BEFORE

from ..tracking.records import only, records, values
from .programs import Running, call, finish, kill, read, record, small_disk, sweep, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS = 3
SIX = ["row=regression_only,det_0.1,det_1", "seed=1,2", f"epochs={EPOCHS}"]
GONE_S = 5.0
SEED = 0
EARLY = (0, 1)  # moments before the first job
FIELDS = ["fault", "number", "moment_s", "undisturbed_s", "struck", "gone_s", "epochs_redone", "identical"]

Keep = Callable[..., None]


@dataclass(frozen=True)
class Undisturbed:
    """The sweep as it should be."""

    data: Path
    table: bytes
    weights: dict[str, str]
    begins: float  # seconds until the first run
    seconds: float

    def sweep(self, outputs: Path, *words: str) -> list[str]:
        return sweep(*SIX, *words, data=self.data, outputs=outputs)

    def table_of(self, outputs: Path) -> bytes:
        finish(call("report", "study=weight_ablation", f"paths.outputs={outputs}", data=self.data))
        return (outputs / "weight_ablation" / "table.csv").read_bytes()

    def is_reached(self, outputs: Path, *words: str) -> bool:
        """One more call of the same command, then the same table; nothing else lies about."""
        finish(self.sweep(outputs, *words))
        study = outputs / "weight_ablation"
        assert not [*study.rglob(".*.tmp*"), *study.rglob(RESUME), *study.rglob(RESUME_BEFORE)]
        assert [job["outcome"] for job in record(study).values()] == ["finished"] * 6
        return self.table_of(outputs) == self.table and weights_of(outputs) == self.weights


def weights_of(outputs: Path, runs: int = 6) -> dict[str, str]:
    """Digests of all runs' weights and numbers, those of the last epoch too, by their folders."""
    found = {}
    for path in outputs.rglob(CHOSEN):
        weights = torch.load(path, weights_only=True)["state_dict"]
        digest = hashlib.sha256()
        for name, value in sorted(weights.items()):
            digest.update(name.encode() + value.numpy().tobytes())
        result = read_json(path.parents[1] / "result.json")
        digest.update(digest_of([result["metrics"], result["other_rule"]["metrics"]]).encode())
        found[path.parents[1].name] = digest.hexdigest()
    assert len(found) == runs
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    data = folder / "data"
    finish(call("prepare", data=data))
    made = Undisturbed(data, b"", {}, 0.0, 0.0)
    with Running(made.sweep(folder)) as running:
        until(lambda: any(folder.rglob("*.log")), "a job")
        begins = time.monotonic() - running.started
        running.end(0)
        seconds = time.monotonic() - running.started
    return Undisturbed(data, made.table_of(folder), weights_of(folder), begins, seconds)


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """Takes the figures of a fault."""
    path = Path(os.environ.get("HMLPE_FAULTS") or tmp_path_factory.mktemp("faults") / "faults.csv")

    def add(**figures: Any) -> None:
        with locked(
            Path(tempfile.gettempdir()) / "hmlpe_faults.lock", "table", timeout_s=60.0
        ):  # others test beside this
            rows = list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []
            kept = [row for row in rows if (row["fault"], row["number"]) != (figures["fault"], str(figures["number"]))]
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(sorted([*kept, figures], key=lambda row: (row["fault"], int(row["number"]))))

    return add


def epochs_redone(outputs: Path) -> int:
    """Epochs that were trained to their end more than once, over all runs."""
    logs = [path.read_text() for path in outputs.rglob("hmlpe-train.log")]
    ends = [re.findall(r": epoch (\d+)/", log) for log in logs]
    assert all(set(run) == {str(epoch) for epoch in range(1, EPOCHS + 1)} for run in ends)
    return sum(len(run) - EPOCHS for run in ends)


def at(run: Path) -> str:
    """Where a killed run was."""
    if list((run / "checkpoints").glob(".*.tmp")):
        return "checkpoint"
    if not (run / "result.json").is_file():
        return "start"
    ends = re.findall(r": epoch (\d+)/", (run / "hmlpe-train.log").read_text())
    if not (run / "csv").is_dir():
        return "start"
    return "evaluation" if ends and int(ends[-1]) == EPOCHS else f"epoch {int(ends[-1]) + 1 if ends else 1}"


def struck(outputs: Path, pids: list[int]) -> str:
    """Where the runs of these processes were."""
    found = []
    for log in sorted(outputs.rglob("hmlpe-train.log")):
        numbers = re.findall(r", process (\d+)\)$", log.read_text(), re.MULTILINE)
        if numbers and int(numbers[-1]) in pids:
            found.append(at(log.parent))
    if found or not any(outputs.rglob("hmlpe-train.log")):
        return " + ".join(found) or "before the runs"
    return "start" if pids else "between or after runs"


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("who", ["launcher", "both", "job"])
def test_kill_9_at_a_random_moment(who: str, number: int, whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """Of ten moments, one in each tenth of the time in which there are jobs; of the launcher, two before the first."""
    chance = random.Random(f"{SEED} {who} {number}")
    early = who != "job" and number in EARLY
    span = whole.begins if early else whole.seconds - whole.begins
    wait = (number + chance.random()) / (len(EARLY) if early else 10) * span
    print(f"{who}, {number}: seed {SEED}, {wait:.2f} s after the {'call' if early else 'first job'}")
    with Running(whole.sweep(tmp_path)) as running:
        if not early:
            first_job(running, tmp_path)
        began = running.started if early else time.monotonic()
        time.sleep(max(0.0, began + wait - time.monotonic()))
        if who == "job":
            until(lambda: running.jobs() or running.process.poll() is not None, "a job")
        pids = running.jobs()
        victims = {"job": pids and [chance.choice(pids)], "launcher": [running.pid], "both": [*pids, running.pid]}[who]
        moment = time.monotonic() - running.started
        for pid in victims:
            kill(pid)
        if who == "job":
            where = struck(tmp_path, victims)
            running.end(0)  # it is tried again within the same call
        else:
            running.process.wait()
            where = struck(tmp_path, pids)
        gone = running.gone()
    figures = {"undisturbed_s": f"{whole.seconds:.1f}", "moment_s": f"{moment:.1f}", "gone_s": f"{gone:.2f}"}
    reached(whole, tmp_path, keep, f"kill -9 of {who}", number, struck=where, **figures)
    assert gone < GONE_S


def reached(
    whole: Undisturbed,
    outputs: Path,
    keep: Keep,
    fault: str,
    number: int = 0,
    words: Sequence[str] = (),
    **figures: Any,
) -> None:
    """One more call reaches the undisturbed table; its figures are kept."""
    identical = whole.is_reached(outputs, *words)
    figures |= {"epochs_redone": epochs_redone(outputs), "identical": identical}
    keep(fault=fault, number=number, **figures)
    assert identical


def first_job(running: Running, outputs: Path) -> int:
    until(lambda: any(outputs.rglob("*.log")), "a job")
    return int(until(running.jobs, "a job")[0])


def test_kill_9_as_a_checkpoint_is_written(whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    with Running(whole.sweep(tmp_path)) as running:
        until(lambda: any(tmp_path.rglob(f".{RESUME}.*.tmp")), "a checkpoint", pause_s=0)
        pids = running.jobs()
        for pid in [*pids, running.pid]:
            kill(pid)
        running.process.wait()
        where = struck(tmp_path, pids)
        gone = running.gone()
    reached(whole, tmp_path, keep, "kill -9 as a checkpoint is written", struck=where, gone_s=f"{gone:.2f}")
    assert gone < GONE_S


@pytest.mark.parametrize("when", ["it loads", "jobs run"])
def test_kill_9_of_the_fork_server(when: str, whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """A new one takes over within the same call."""
    with Running(whole.sweep(tmp_path)) as running:
        if when == "jobs run":
            until(lambda: any(tmp_path.rglob(RESUME)), "a first epoch")
        server = until(running.server, "the fork server", pause_s=0.001)
        pids = running.jobs()
        kill(server)
        where = struck(tmp_path, pids)
        running.end(0)
        gone = running.gone()
    reached(whole, tmp_path, keep, f"kill -9 of the fork server as {when}", struck=where, gone_s=f"{gone:.2f}")


@pytest.mark.parametrize("how", ["disk", "limit"])
def test_a_full_disk(how: str, whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """It fills up as the first rows train; or no file may be as large as a checkpoint."""
    if how == "limit":
        said = finish(["bash", "-c", 'ulimit -f 64; exec "$@"', "bash", *whole.sweep(tmp_path)], 2)
        assert said.splitlines()[-1].startswith("error: ") and "File too large" in said.splitlines()[-1]
        assert "Traceback" not in said
        return reached(whole, tmp_path, keep, "files limited in size")
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        with Running(whole.sweep(disk)) as running:
            first_job(running, disk)
            filler = disk / "filler"
            until(lambda: list(disk.rglob("result.json")), "a run to train")
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, capture_output=True)
            said = running.end(2)
        assert said.splitlines()[-1].startswith("error: ") and "No space left on device" in said.splitlines()[-1]
        assert "Traceback" not in said
        filler.unlink()
        reached(whole, disk, keep, "full disk")


def test_a_job_is_killed_for_memory(whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """By the kernel, as its control group is full; the second try has room."""
    with control_group("8M") as group, Running(whole.sweep(tmp_path)) as running:
        (group / "cgroup.procs").write_text(str(first_job(running, tmp_path)))
        said = running.end(0)
    assert ": out of memory: killed by the system, which had run out of memory after " in said and "retrying" in said
    tries = [job["tries"] for job in record(tmp_path / "weight_ablation").values()]
    assert tries.count({"out_of_memory": 1, "finished": 1}) == 1
    reached(whole, tmp_path, keep, "killed for memory")


@pytest.mark.parametrize("damaged", [(RESUME,), (RESUME, RESUME_BEFORE)])
def test_a_damaged_checkpoint(damaged: tuple[str, ...], whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """The one before it serves; where that is damaged too, the run starts anew."""
    with Running(whole.sweep(tmp_path)) as running:
        before = until(lambda: next(iter(tmp_path.rglob(RESUME_BEFORE)), None), "a second epoch", pause_s=0.002)
        until(before.with_name(RESUME).exists, "its state", pause_s=0.002)
        kill(running.pid)
        running.gone()
    run = before.parents[1]
    for name in damaged:
        path = before.with_name(name)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    reached(whole, tmp_path, keep, f"damage of {' and '.join(damaged)}", struck=at(run))
    log = (run / "hmlpe-train.log").read_text()
    assert f"{RESUME} is damaged; going back to the one before it" in log
    assert (f"{RESUME_BEFORE} is damaged; going back to the start" in log) == (RESUME_BEFORE in damaged)
    assert ("resuming from" in log) == (RESUME_BEFORE not in damaged)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["kill -9 of a run", "kill -9 of the launcher", "Ctrl-C"])
def test_runs_with_loading_processes(how: str, workers: int, whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """A further try in the same call, or the next call: the epochs that follow are shown in their own order."""
    words = [f"trainer.workers={workers}"]
    with Running(whole.sweep(tmp_path, *words)) as running:
        state = until(lambda: next(iter(tmp_path.rglob(RESUME)), None), "a first epoch", pause_s=0.002)
        if how == "kill -9 of a run":
            (pid,) = re.findall(r", process (\d+)\)$", (state.parents[1] / "hmlpe-train.log").read_text(), re.MULTILINE)
            pids = [int(pid)]
            kill(pids[0])
        else:
            pids = running.jobs()
            os.killpg(running.pid, signal.SIGINT) if how == "Ctrl-C" else kill(running.pid)
        where = struck(tmp_path, pids)
        running.end({"kill -9 of a run": 0, "Ctrl-C": 130}.get(how))
        gone = running.gone()
    figures = {"struck": where, "gone_s": f"{gone:.2f}"}
    reached(whole, tmp_path, keep, f"{how}, with loading processes", workers, words, **figures)
    assert gone < GONE_S


DIE = """
import os, signal, sys
from hmlpe.cli.train import main
from hmlpe.training.checkpoint import ResumeCheckpoint as Kept
after, save = int(sys.argv.pop(1)), Kept._save_checkpoint
def save_and_die(self, trainer, path):
    save(self, trainer, path)
    if trainer.current_epoch + 1 == after:
        os.kill(os.getpid(), signal.SIGKILL)
Kept._save_checkpoint = save_and_die
main()
"""


def test_a_folder_that_is_moved(whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """Between two calls; the best epoch is before, and the others are worse."""
    words = ["logger=csv", "epochs=4", "optim.groups.lr=0.5"]
    there, here, alone = (tmp_path / name for name in ("there", "here", "alone"))
    run = Path("single") / "det_0.1_s1"

    def command(outputs: Path) -> list[str]:
        return call("train", f"paths.outputs={outputs}", *words, data=whole.data)

    finish(command(alone))
    expected = read_json(alone / run / "result.json")
    best = expected["best_epoch"]
    assert best < 4
    finish([sys.executable, "-c", DIE, str(best), *command(there)[3:]], -signal.SIGKILL)
    there.rename(here)
    assert "resuming from" in finish(command(here))
    found = read_json(here / run / "result.json")
    same = weights_of(here, 1) == weights_of(alone, 1)
    identical = same and all(found[key] == expected[key] for key in ("best_epoch", "metrics", "other_rule"))
    keep(fault="folder moved between two calls", number=0, struck=f"epoch {best + 1}", epochs_redone=0,
         identical=identical)  # fmt: skip
    assert identical


def test_kill_9_of_the_second_runs_wandb(whole: Undisturbed, tmp_path: Path, keep: Keep) -> None:
    """It alone loses its mirror, which the last line says; what comes after it holds what a run alone holds."""
    rows = ["row=regression_only,det_0.1,det_1", "seed=1", f"epochs={EPOCHS}", "hydra.launcher.n_jobs=1"]
    study = tmp_path / "weight_ablation"
    with Running(sweep(*rows, "logger=wandb", data=whole.data, outputs=tmp_path)) as running:
        second = study / "det_0.1_s1"
        until(lambda: any(second.glob("wandb/*/*.wandb")), "the second run's W&B", pause_s=0.002)
        services = [pid for pid in running.family() if b"wandb-core" in read(pid, "cmdline")]
        for pid in services:
            kill(pid)
        where = at(second)
        said = running.end(0)
    assert services
    lost = f"det_0.1 · seed 1 ({read_json(second / 'result.json')['mirror_lost']})"
    assert said.rstrip().endswith(f"incomplete in W&B, complete in the CSV: {lost}")
    for run in (study / "regression_only_s1", study / "det_1_s1"):
        found = records(only(run))
        summary = {name for record in found["summary"] for name in values(record.update)}
        tested = {f"test/{name}" for name in read_json(run / "result.json")["metrics"]["test"]}
        assert [record.exit_code for record in found["exit"]] == [0] and tested <= summary
    identical = weights_of(tmp_path, 3).items() <= whole.weights.items()
    keep(fault="kill -9 of the second run's W&B", number=0, struck=where, epochs_redone=0, identical=identical)
    assert identical


@contextlib.contextmanager
def control_group(limit: str) -> Iterator[Path]:
    """A control group below this process's own, with so much memory."""
    found = re.search(r"^(?:\d+:memory|0:):(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    assert found is not None
    first = Path("/sys/fs/cgroup/memory" if ":memory:" in found[0] else "/sys/fs/cgroup")
    group = first / found[1].lstrip("/") / f"hmlpe-test-{os.getpid()}"
    name = "memory.limit_in_bytes" if ":memory:" in found[0] else "memory.max"
    try:
        group.mkdir()
        (group / name).write_text(limit)
    except OSError as error:
        pytest.skip(f"no control group can be made here ({error})")
    try:
        yield group
    finally:
        group.rmdir()

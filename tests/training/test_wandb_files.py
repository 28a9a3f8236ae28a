"""W&B beside a sweep, offline: its files are read back, after kill -9 and after its own death too."""

import csv
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from hmlpe.runs.metric import find_metric_info
from hmlpe.runs.result import read_run

from ..programs import TINY as SMALLEST
from ..programs import Started, finish, of_packs, run
from ..tracking.records import only, records, values

TINY = [*SMALLEST, "trainer.log_every_n_steps=1", "logger.gradients_every_n_steps=2"]
TASKS = ("regression", "detection")
SERVICE = b"wandb-core"


def words(*overrides: str, folder: Path) -> list[str]:
    return [f"paths.data={folder / 'data'}", f"paths.outputs={folder / 'outputs'}", *TINY, *overrides]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wandb")
    finish("prepare", *of_packs(*words(folder=folder)), "prepare.sheet=0")
    return folder


@pytest.fixture(scope="module")
def study(folder: Path) -> Path:
    """A sweep of three rows, with W&B by default: forks of one warm process, one after the other's end.

    From an environment that is one W&B run's.
    """
    rows = ["row=regression_only,det_0.1,det_1", "seed=1", "epochs=3", "logger.media_every_epochs=2"]
    sweep = words("experiment=weight_ablation", *rows, "hydra.launcher.n_jobs=1", folder=folder)
    of_one_run = {"RUN_ID": "one", "NAME": "one", "RUN_GROUP": "one", "PROJECT": "one", "RESUME": "must",
                  "RESUME_FROM": "one?_step=1", "SWEEP_ID": "one", "DIR": str(folder / "one"),
                  "X_FILES_DIR": str(folder / "one")}  # fmt: skip
    environment = os.environ | {f"WANDB_{name}": value for name, value in of_one_run.items()}
    done = run("train", "-m", *sweep, environment=environment)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "3 finished" in said, said[-3000:]
    assert "WANDB_RUN_ID" in said and "incomplete in W&B" not in said and not (folder / "one").exists()
    return folder / "outputs" / "weight_ablation"


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Step and numbers of each line of a CSV."""
    for line in csv.DictReader(path.read_text().splitlines()):
        numbers = {key: float(value) for key, value in line.items() if value}
        yield int(numbers.pop("step")), numbers


def check_history(wandb_file: Path, *csvs: Path, before: float = math.inf) -> int:
    """Every number of every line of the CSVs is in W&B's history, under its step. Returns how many were compared."""
    there, wanted = set(), set()
    for record in records(wandb_file)["history"]:
        row = values(record.item)
        numbers = {name: value for name, value in row.items() if isinstance(value, float | int)}
        there |= {(row.get("trainer/global_step"), *item) for item in numbers.items()}
    for path in csvs:
        for step, row in rows_of(path):
            wanted |= {(step, *item) for item in row.items() if step < before and math.isfinite(item[1])}
    assert wanted and not wanted - there, sorted(wanted - there)[:3]
    return len(wanted)


@pytest.mark.parametrize("row", ["regression_only", "det_0.1", "det_1"])
def test_a_run_is_read_back_whole(study: Path, row: str) -> None:
    run = study / f"{row}_s1"
    found = records(only(run))
    (started,) = found["run"]
    assert (started.project, started.run_group, started.display_name) == (
        "hmlpe", "weight_ablation", f"{row} · seed 1")  # fmt: skip
    assert list(started.tags) == ["embedded", "modern"]
    config = {item.key: json.loads(item.value_json) for item in started.config.update}
    config.pop("_wandb", None)
    assert config == yaml.safe_load((run / "config.yaml").read_text())
    assert [record.exit_code for record in found["exit"]] == [0]

    csv_file = run / "csv" / "version_0" / "metrics.csv"
    assert check_history(only(run), csv_file) > 100
    evaluated = [
        key for step, row in rows_of(csv_file) if step == 9 for key in row
    ]  # after three epochs of three steps
    assert "test/regression_error" in evaluated
    assert not any(key.startswith("val/") for key in evaluated), "it would be one more epoch of the curve"
    summaries: dict[str, Any] = {}
    for record in found["summary"]:
        summaries |= values(record.update)
    result = json.loads((run / "result.json").read_text())
    for name, value in result["metrics"]["test"].items():
        kept = summaries[f"test/{name}"]
        assert value is None or (kept["last"] if isinstance(kept, dict) else kept) == pytest.approx(value), name
    defined = {record.name: record for record in found["metric"]}
    error = defined["val/regression_error"]
    assert error.step_metric == "trainer/global_step" and error.summary.min and not error.summary.max
    assert defined["val/pdj_modec_wrist_auc"].summary.max

    artifacts = {record.type: record for record in found["artifact"]}
    assert set(artifacts) == {"config", "manifest"}
    for kind, name in (("config", "config.yaml"), ("manifest", "manifest.json")):
        assert [entry.path for entry in artifacts[kind].manifest.contents] == [name]


def test_every_run_of_a_sweep_is_one_of_wandb(study: Path) -> None:
    begun = [record for run in study.glob("*_s1") for record in records(only(run))["run"]]
    assert len({record.run_id for record in begun}) == len(begun) == 3
    assert not {"one"} & {field for record in begun for field in (record.run_id, record.sweep_id, record.job_type)}


def test_the_pictures_are_there(study: Path) -> None:
    """After the second and the last epoch, each a PNG; of a row without detection there are no part maps."""
    for row, expected in (
        ("regression_only", {"media/poses", "media/filters"}),
        ("det_0.1", {"media/poses", "media/part_maps", "media/filters"}),
        ("det_1", {"media/poses", "media/part_maps", "media/filters"}),
    ):
        path = only(study / f"{row}_s1")
        found: dict[str, list[int]] = {}
        for record in records(path)["history"]:
            numbers = values(record.item)
            for name, value in numbers.items():
                if isinstance(value, dict) and value.get("_type") == "image-file":
                    picture = np.asarray(Image.open(path.parent / "files" / value["path"]))
                    assert picture.shape[:2] == (value["height"], value["width"]) and picture.std() > 10
                    found.setdefault(name, []).append(numbers["trainer/global_step"])
        assert found == {name: [5, 8] for name in expected}  # epochs of three steps, counted from 0


def test_the_curves_over_thresholds_are_those_of_the_result(study: Path) -> None:
    metrics = json.loads((study / "det_0.1_s1" / "result.json").read_text())["metrics"]["test"]
    rows = [values(record.item) for record in records(only(study / "det_0.1_s1"))["history"]]
    curve = [(row["curve/threshold"], row["curve/test/pdj_modec_wrist"]) for row in rows if "curve/threshold" in row]
    assert curve == [(t / 100, pytest.approx(metrics[f"pdj_modec_wrist@{t / 100:.2f}"])) for t in range(1, 21)]


def test_every_metric_that_a_run_logs_is_known_and_on_the_dashboard(study: Path) -> None:
    """By what the run's own result says of it, and there nothing but the gradients of more tasks is logged by none."""
    header = (study / "det_0.1_s1" / "csv" / "version_0" / "metrics.csv").read_text().splitlines()[0]
    names = set(header.split(",")) - {"step", "epoch"}
    infos = read_run(study / "det_0.1_s1" / "result.json").infos
    assert not [name for name in names if find_metric_info(infos, name) is None], "logged, but not said what it is"
    used = {find_metric_info(infos, name) for name in names}
    unused = {name for name, info in infos.items() if info not in used}
    assert unused == {"train/weight/regression", "train/weight/detection", "train/gradient/cosine_regression_detection"}

    said = dashboard(study)
    assert str(study / "dashboard" / "workspace.json") in said
    for file in ("workspace.json", "report.json"):
        shown = set(strings(json.loads((study / "dashboard" / file).read_text())))
        shown |= {name.removeprefix("summary:") for name in shown}
        curves = {f"curve/test/pdj_modec_{group}" for group in ("elbow", "wrist")}
        pictures = {"media/poses", "media/part_maps", "media/filters"}
        assert not {*names, *curves, *pictures} - shown, file
        assert not [
            name
            for name in shown
            if name.startswith(("train/", "val/", "test/")) and name not in names and find_metric_info(infos, name)
        ]


def dashboard(study: Path) -> str:
    """By the program, with whose end W&B's process has written all."""
    return finish("dashboard", f"study={study.name}", f"paths.outputs={study.parent}")


def strings(tree: Any) -> Iterator[str]:
    """All texts within."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from strings(part)


@pytest.mark.slow  # two tables sent to W&B
def test_the_table_of_the_study_is_replaced_by_the_second_call(study: Path) -> None:
    for _ in range(2):
        dashboard(study)
        path = only(study / "dashboard")
        (started,) = records(path)["run"]
        assert (started.run_group, started.job_type, started.run_id[:8]) == ("weight_ablation", "summary", "summary-")
        (table,) = path.parent.glob("files/media/table/*.table.json")
        content = json.loads(table.read_text())
        lines = [dict(zip(content["columns"], line, strict=True)) for line in content["data"]]
        assert [(line["row"], line["seed"], line["status"]) for line in lines] == [
            ("regression_only", 1, "finished"), ("det_0.1", 1, "finished"), ("det_1", 1, "finished")]  # fmt: skip
        result = json.loads((study / "det_0.1_s1" / "result.json").read_text())
        assert lines[1]["test/regression_error"] == pytest.approx(result["metrics"]["test"]["regression_error"])


def test_kill_9_loses_nothing_that_the_csv_has(folder: Path) -> None:
    """W&B keeps up to 32 kB in memory, so the next start tells it what the killed one had logged."""
    command = words("study=killed", "epochs=6", "logger.media_every_epochs=null", folder=folder)
    there = folder / "outputs" / "killed" / "det_0.1_s1"
    process = Started("train", *command)
    deadline = time.monotonic() + 120
    while not (there / "checkpoints" / "resume_before.ckpt").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    die = "import os, signal; from hmlpe.training import fit; from hmlpe.cli.train import main; "
    die += "fit.write_people = lambda *_: os.kill(os.getpid(), signal.SIGKILL); main()"  # after the last epoch
    killed = run("-c", die, *command)
    assert killed.returncode == -signal.SIGKILL
    finish("train", *command)
    first, second, third = (there / "csv" / f"version_{start}" / "metrics.csv" for start in (0, 1, 2))
    *_, last = sorted(there.glob("wandb/offline-run-*/*.wandb"))  # their names begin with the time
    again = min(step for step, _ in rows_of(second))
    assert again >= 3  # an epoch of three steps, or more, is not done again
    assert check_history(last, first, before=again) > 50
    assert check_history(last, second, before=18) > 50  # its six epochs; the evaluation is the last start's
    assert min(step for step, _ in rows_of(third)) == 18 and check_history(last, third) > 50


def test_a_run_that_diverges_has_failed_in_wandb_too(folder: Path) -> None:
    diverging = ["optim.groups.lr=1e30", "optim.gradient_clip=null", "logger.media_every_epochs=null"]
    done = run("train", *words("study=diverged", "epochs=1", *diverging, folder=folder))
    assert done.returncode == 2 and "diverged" in done.stderr.splitlines()[-1], done.stderr[-2000:]
    found = records(only(folder / "outputs" / "diverged" / "det_0.1_s1"))
    assert [record.exit_code for record in found["exit"]] == [1]


def test_a_service_that_dies_is_one_warning(folder: Path) -> None:
    """And a run that goes on to its result, with every number in the CSV."""
    command = words("study=died", "epochs=12", "logger.media_every_epochs=1", folder=folder)
    run = folder / "outputs" / "died" / "det_0.1_s1"
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # not that of these tests
    process = Started("train", *command, environment=own)
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "resume.ckpt").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    while not (services := services_of(process.pid)) and process.poll() is None:
        assert time.monotonic() < deadline
    assert services and process.poll() is None, "it is over"
    for service in services:
        os.kill(service, signal.SIGKILL)
    done = process.end()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("giving up on W&B") == 1, said[-2000:]
    assert "Traceback" not in said and "\nwandb: " not in said
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "finished" and result["mirror_lost"] in said
    steps = [step for step, row in rows_of(run / "csv" / "version_0" / "metrics.csv") if "train/total" in row]
    assert steps == list(range(36))


def services_of(pid: int) -> list[int]:
    """W&B's own processes that this one has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == pid and SERVICE in status.with_name("cmdline").read_bytes():
                found.append(int(status.parent.name))
        except OSError:  # gone meanwhile
            continue
    return found


@pytest.mark.slow  # it is waited for
@pytest.mark.parametrize("key", ["a" * 40, None])
def test_an_unreachable_server_is_one_warning_and_an_offline_run(folder: Path, key: str | None) -> None:
    """With a key, and without any."""
    study = f"study=unreachable_{bool(key)}"
    environment = {name: value for name, value in os.environ.items() if name not in ("WANDB_MODE", "WANDB_API_KEY")}
    environment |= {"WANDB_BASE_URL": "http://127.0.0.1:9", "NETRC": os.devnull} | (
        {"WANDB_API_KEY": key} if key else {}
    )
    command = words(study, "epochs=1", "logger.mode=online", "logger.timeout_s=3", folder=folder)
    done = run("train", *command, environment=environment)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("W&B cannot start") == 1 and "goes on offline" in said and "Traceback" not in said
    there = folder / "outputs" / study.removeprefix("study=") / "det_0.1_s1"
    assert check_history(only(there), there / "csv" / "version_0" / "metrics.csv") > 50

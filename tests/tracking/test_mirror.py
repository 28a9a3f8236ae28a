"""W&B may fail at any call: one warning, and silence from then on."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb

from hmlpe.tracking.mirror import WandbMirror

from ..report.described import infos
from .records import ended, only, values


class Failing:
    """A W&B run that dies after so many calls."""

    id = "abc"

    def __init__(self, calls: int) -> None:
        self.left, self.defined, self.logged = calls, {}, []

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise ConnectionResetError("gone")

    def define_metric(self, name: str, **options: Any) -> None:
        self.count()
        self.defined[name] = options

    def log(self, row: dict[str, Any]) -> None:
        self.count()
        self.logged.append(row)

    def finish(self, exit_code: int) -> None:
        self.count()


@pytest.fixture
def torn_down(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """W&B's own end, which leaves by SystemExit if its service failed."""
    calls: list[int] = []

    def teardown(exit_code: int) -> None:
        calls.append(exit_code)
        sys.exit(2)

    monkeypatch.setattr(wandb, "teardown", teardown)
    return calls


def mirror(run: Failing, folder: Path) -> WandbMirror:
    found = WandbMirror(infos(), project="p", save_dir=folder, mode="offline")
    found._experiment = run
    return found


@pytest.mark.parametrize("calls", range(8))  # a definition, three rows, three pictures, the end
def test_the_first_failure_is_one_warning_and_the_end(
    calls: int, tmp_path: Path, torn_down: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    one = mirror(Failing(calls), tmp_path)
    for step in range(3):
        one.log_metrics({"train/total": 1.0}, step)
        one.log_picture("media/poses", np.zeros((4, 4, 3), dtype=np.uint8), step)
    one.finish(0)
    assert one.broken and torn_down == [1]
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["giving up on W&B"]
    assert "ConnectionResetError: gone" in caplog.text and str(tmp_path / "wandb") in caplog.text


RUNS_IN_TURN = """
import subprocess
import sys
from pathlib import Path
import numpy as np
from hmlpe.tracking.mirror import WandbMirror

for name in ("first", "second", "third"):
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    one = WandbMirror({}, project="p", save_dir=folder, mode="offline")
    one.log_metrics({"train/total": 1.0}, 3)
    if name == "first":
        one.attempt(lambda: 1 / 0)
        assert one.failure == "ZeroDivisionError: division by zero"
        continue
    one.log_picture("media/poses", np.zeros((4, 4, 3), dtype=np.uint8), 3)
    one.finish(0)
    assert not one.broken
    print(name, one.experiment.id)
"""


def test_the_next_run_of_a_process_is_whole_after_one_that_was_given_up(tmp_path: Path) -> None:
    """Real W&B, offline: a sweep in one process, a chain of stages."""
    command = [sys.executable, "-c", RUNS_IN_TURN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    begun = dict(line.split() for line in done.stdout.splitlines() if line.startswith(("second ", "third ")))
    for name in ("second", "third"):
        found = ended(only(tmp_path / name))
        assert len(found["run"]) == 1, (name, {kind: len(of_kind) for kind, of_kind in found.items()})
        assert found["run"][0].run_id == begun[name] and [record.exit_code for record in found["exit"]] == [0]
        history = [values(record.item) for record in found["history"]]
        assert [row.get("train/total") for row in history] == [1.0, None] and "media/poses" in history[1]


def test_metrics_get_axis_and_summary_and_points_become_curves(tmp_path: Path) -> None:
    run = Failing(100)
    one = mirror(run, tmp_path)
    one.log_metrics({"val/regression_error": 2.0, "val/spread": 1.0, "epoch": 0.0}, 3)
    one.log_metrics({"val/regression_error": 1.0, "test/pdj_modec_wrist@0.10": 0.5}, 6)
    one.log_metrics({"test/pdj_modec_wrist@0.05": 0.25}, 6)
    one.finish(0)
    axis = {"step_metric": "trainer/global_step"}
    assert run.defined == {
        "val/regression_error": {**axis, "summary": "min,last"},
        "val/spread": {**axis, "summary": "last"},
        "test/pdj_modec_wrist@0.10": {**axis, "summary": "max,last"},
        "test/pdj_modec_wrist@0.05": {**axis, "summary": "max,last"},
        "curve/test/pdj_modec_wrist": {"step_metric": "curve/threshold"},
    }
    assert run.logged[0] == {"val/regression_error": 2.0, "val/spread": 1.0, "epoch": 0.0, "trainer/global_step": 3}
    assert run.logged[-2:] == [
        {"curve/threshold": 0.05, "curve/test/pdj_modec_wrist": 0.25},
        {"curve/threshold": 0.1, "curve/test/pdj_modec_wrist": 0.5},
    ]

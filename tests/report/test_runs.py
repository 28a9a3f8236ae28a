"""Reading results: what is skipped, what is read, what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.errors import UserError
from hmlpe.report import collect_runs
from hmlpe.runs.result import read_run

from .conftest import Result, changed, make_result, write_results

Study = Callable[[list[Result]], Path]


def test_reads_runs_in_the_tables_order_and_skips_stray_folders(study: Study, ablation: list[Result]) -> None:
    folder = study(ablation)
    (folder / "multirun").mkdir()
    (folder / "notes.txt").write_text("x")
    names = [run.name for run in collect_runs(folder)]
    rows = ["reg_only", "det_0.01", "det_1", "det_only"]
    assert names == [f"{row}_s{seed}" for row in rows for seed in (1, 2)]


def test_weights_are_ordered_as_numbers_not_as_names(study: Study) -> None:
    weights = [10.0, 9.0, 1e-4, 0.03, 0.0]
    folder = study([make_result(f"w{weight:g}", 1, 1.0, weight) for weight in weights])
    assert [run.weights["detection"] for run in collect_runs(folder)] == sorted(weights)


def test_rows_without_the_base_task_come_last_whatever_their_weight(study: Study) -> None:
    folder = study([make_result("a_only", 1, 0.0, 0.5), make_result("b", 1, 1.0, 3.0), make_result("c", 1, 1.0, 0.0)])
    assert [run.row for run in collect_runs(folder)] == ["c", "b", "a_only"]


def test_missing_and_empty_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such study folder"):
        collect_runs(tmp_path / "nothing")
    (tmp_path / "det_s1").mkdir()
    with pytest.raises(UserError, match=r"no <row>_s<seed>/result\.json"):
        collect_runs(tmp_path)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("schema", 1, "schema is 1"),
        ("schema", ..., "schema is None"),
        ("status", "paused", "status is 'paused'"),
        ("row", ..., "field row is missing"),
        ("row", "mean_pose", "rename the row"),
        ("seed", "1", "field seed is '1', not a whole number"),
        ("seed", True, "field seed is True, not a whole number"),
        ("protocol", ..., "field protocol is missing"),
        ("checkpoint_rule", 3, "field checkpoint_rule is 3, not a text"),
        ("metrics", ..., "field metrics is missing"),
        ("metrics", [1], "field metrics is [1], not a mapping"),
        ("metrics/test", 0.5, "field metrics.test is 0.5, not a mapping"),
        ("metrics/test/spread", "wide", "metrics.test.spread is 'wide', not a number"),
        ("metrics/test/spread", True, "metrics.test.spread is True, not a number"),
        ("metrics/test/spread", float("nan"), "metrics.test.spread is nan"),
        ("metrics/train/regression_error", float("inf"), "metrics.train.regression_error is inf"),
        ("mean_pose/test/spread", float("nan"), "mean_pose.test.spread is nan"),
        ("weights/detection", float("nan"), "weights.detection is nan"),
        ("people/test", ..., "field people.test is missing"),
        ("provenance/data", ..., "field provenance.data is missing"),
        ("provenance/code", None, "field provenance.code is not a text"),
    ],
)
def test_a_wrong_field_is_named_with_its_file_in_one_line(
    study: Study, where: str, value: object, message: str
) -> None:
    folder = study([make_result()])
    file = folder / "det_0.1_s1" / "result.json"
    file.write_text(json.dumps(changed(make_result(), where, value)))
    with pytest.raises(UserError) as caught:
        collect_runs(folder)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b'{"schema": 3,', b"\xff\xfe", b"[]", b""])
def test_broken_files_are_named(study: Study, content: bytes) -> None:
    folder = study([make_result()])
    file = folder / "det_0.1_s1" / "result.json"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        collect_runs(folder)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_results_of_one_row_and_seed_are_refused(study: Study) -> None:
    folder = study([make_result()])
    (folder / "det_0.1_s1 (copy)").mkdir()
    (folder / "det_0.1_s1 (copy)" / "result.json").write_text(json.dumps(make_result()))
    with pytest.raises(UserError, match=r"det_0.1_s1 \(copy\)/result.json.*same row"):
        collect_runs(folder)


def test_failed_and_running_runs_need_little_and_may_hold_nan(tmp_path: Path) -> None:
    failed = {
        "schema": 3,
        "status": "failed",
        "row": "a",
        "seed": 0,
        "error": "x\ny",
        "metrics": {"test": {"e": float("nan")}},
    }
    running = {"schema": 3, "status": "running", "row": "a", "seed": 1, "metrics": None}
    runs = collect_runs(write_results(tmp_path, [failed, running]))
    assert [run.status for run in runs] == ["failed", "running"]
    assert runs[0].result.error == "x y"


_numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
_metrics = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _numbers, max_size=5)


@given(test=_metrics, train=_metrics, seed=st.integers(0, 2**31))
def test_every_metric_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, test: dict[str, float | None],
                                              train: dict[str, float | None], seed: int) -> None:  # fmt: skip
    file = tmp_path_factory.mktemp("run") / "result.json"
    file.write_text(json.dumps(changed(make_result(seed=seed), "metrics", {"train": train, "test": test})))
    run = read_run(file)
    assert run.seed == seed
    assert run.metrics == {f"train/{key}": value for key, value in train.items()} | {
        f"test/{key}": value for key, value in test.items()
    }

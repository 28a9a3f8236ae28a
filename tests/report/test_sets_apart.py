"""Studies that test several sets apart, and studies whose rows differ in more than their weights."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from hmlpe.errors import UserError
from hmlpe.report import write_report
from hmlpe.report.columns import columns_of, panels_of
from hmlpe.report.figure import RowAxis, WeightAxis, choose_axis
from hmlpe.runs.result import Run, read_run

from .conftest import Result, changed, make_result, write_results

Study = Callable[[list[Result]], Path]


def apart(row: str, seed: int, detection: float) -> Result:
    """A run that tested Buffy, which has no torso lengths, and FLIC."""
    result = make_result(row, seed, 1.0, detection)
    test = {"regression_error": 0.1, "pcp_strict_lower_arm": 0.5, "pdj_modec_wrist@0.20": None}
    sets = {
        "test_buffy": test,
        "test_flic": {**test, "regression_error": 0.3, "pcp_strict_lower_arm": 0.7, "pdj_modec_wrist@0.20": 0.45},
        "test_average": {"regression_error": 0.2, "pcp_strict_lower_arm": 0.6},
    }
    result["metrics"] |= sets
    result["mean_pose"] |= {"test_buffy": {"pcp_strict_lower_arm": 0.125}}
    return result


def staged(row: str, seed: int, start: str, epochs: int, before: int) -> Result:
    result = make_result(row, seed)
    result |= {"start": start, "epochs": epochs, "steps": 10 * epochs, "steps_before": before}
    result["varies"] = ["init_from", "epochs"]
    result["metrics"]["test"] |= {"pcp_strict_upper_arm": 0.8, "pcp_strict_lower_arm": 0.5}
    return result


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "table.csv").open(encoding="utf-8") as file:
        return {line["row"]: line for line in csv.DictReader(file)}


def test_each_set_and_the_average_have_columns_of_their_own(study: Study) -> None:
    folder = study([apart("det_0", 1, 0.0), apart("det_0.1", 1, 0.1)])
    text = write_report(folder)
    row = rows_of(folder)["det_0.1"]
    assert float(row["test_buffy/regression_error_mean"]) == 0.1
    assert float(row["test_flic/pcp_strict_lower_arm_mean"]) == 0.7
    assert float(row["test_average/regression_error_mean"]) == 0.2
    assert "test_buffy/pdj_modec_wrist@0.20_mean" not in row and "test_flic/pdj_modec_wrist@0.20_mean" in row
    assert "test/pdj_modec_wrist@0.20_mean" not in row  # of two protocols' people pooled
    assert float(rows_of(folder)["mean_pose"]["test_buffy/pcp_strict_lower_arm_mean"]) == 0.125
    head = next(line for line in (folder / "table.md").read_text().splitlines() if line.startswith("| row"))
    places = [head.index(name) for name in ("buffy E_r", "flic E_r", "average E_r")]
    assert places == sorted(places) and "buffy PCP strict lower arm" in head
    assert "buffy" in text and (folder / "figure.png").stat().st_size > 20_000


def run_with(tmp_path: Path, *keys: str) -> Run:
    """A run with these metrics."""
    result = make_result() | {"metrics": {"test": {}}}
    for split, _, name in (key.partition("/") for key in keys):
        result["metrics"].setdefault(split, {})[name] = 0.5
    write_results(tmp_path, [result])
    return read_run(tmp_path / "det_0.1_s1" / "result.json")


def test_panels_draw_the_sets_and_their_average(tmp_path: Path) -> None:
    sets = [f"test_{name}" for name in ("buffy", "flic", "average")]
    keys = [f"{split}/{name}" for split in sets for name in ("regression_error", "pcp_strict_lower_arm")]
    errors, _, scores = panels_of([run_with(tmp_path, "test_flic/pdj_modec_wrist@0.20", *keys)])
    assert [label for _, label in errors.lines] == ["train", "buffy", "flic", "average"]
    assert scores.ylabel == "test PCP strict, lower arm [%]", "which all sets have"
    assert [key for key, _ in scores.lines] == [f"{split}/pcp_strict_lower_arm" for split in sets]


def test_one_set_is_drawn_by_pdj_or_where_it_has_no_torsos_by_pcp(tmp_path: Path) -> None:
    pdj = run_with(tmp_path / "a", "test/pdj_modec_wrist@0.20", "test/pcp_strict_lower_arm")
    assert panels_of([pdj])[-1].ylabel == "test PDJ@0.2 [%]"
    assert panels_of([run_with(tmp_path / "b", "test/pcp_strict_lower_arm")])[-1].ylabel == "test PCP strict [%]"
    assert [column.key for column in columns_of([pdj])][:2] == [
        "test/pdj_modec_elbow@0.20", "test/pdj_modec_wrist@0.20",
    ]  # fmt: skip


def test_rows_may_differ_in_what_the_study_says_and_the_table_shows_it(study: Study) -> None:
    runs = [staged("pretrained", seed, "all/pretrain", 12, 90) for seed in (1, 2)] + [
        staged("scratch", 1, "scratch", 21, 0)
    ]
    folder = study(runs)
    write_report(folder)
    rows = rows_of(folder)
    assert (rows["pretrained"]["start"], rows["pretrained"]["steps"]) == ("all/pretrain", "210")
    assert (rows["scratch"]["start"], rows["scratch"]["steps"]) == ("scratch", "210")
    text = (folder / "table.md").read_text()
    assert "12 to 21 epochs" in text and "including those of the start" in text
    assert (folder / "figure.png").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("odd", "field"),
    [
        (changed(staged("scratch", 1, "scratch", 21, 0), "varies", ["checkpoint"]), "set of varied settings"),
        (changed(staged("scratch", 1, "scratch", 21, 0), "varies", ...), "set of varied settings"),
        (staged("pretrained", 2, "all/pretrain", 13, 90), "epochs of row pretrained"),
    ],
)
def test_what_the_study_does_not_say_may_not_differ(study: Study, odd: Result, field: str) -> None:
    folder = study([staged("pretrained", 1, "all/pretrain", 12, 90), staged("third", 1, "scratch", 9, 0), odd])
    with pytest.raises(UserError, match=field):
        write_report(folder)


def test_rows_of_one_weight_stand_side_by_side(tmp_path: Path) -> None:
    def axis(*results: Result) -> WeightAxis | RowAxis:
        folder = write_results(tmp_path / results[0]["row"], list(results))
        return choose_axis([read_run(file) for file in sorted(folder.glob("*/result.json"))])

    beside = axis(staged("pretrained", 1, "all", 12, 0), staged("scratch", 1, "scratch", 12, 0))
    assert isinstance(beside, RowAxis) and beside.names == ["pretrained", "scratch"]
    assert isinstance(axis(make_result("a", 1, 1, 0.1), make_result("b", 1, 1, 0.2)), WeightAxis)
    assert isinstance(axis(make_result("c", 1, 1, 0.1), make_result("c", 2, 1, 0.1)), WeightAxis)

"""Runs that must not stand in one table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hmlpe.errors import UserError
from hmlpe.report import check_comparable, collect_runs, write_report

from .conftest import Result, changed, make_result

Study = Callable[[list[Result]], Path]
_OTHER_ROW = ("det_1", 1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("where", "value", "field"),
    [
        ("provenance/data", "other", "data digest"),
        ("provenance/code", "other", "code digest"),
        ("protocol", "pdj_modec sides=person", "protocol"),
        ("checkpoint_rule", "last", "checkpoint rule"),
        ("people/test", 1016, "people counts"),
        ("people/train", 1, "people counts"),
        ("recipe", "paper", "recipe"),
        ("network", "faithful", "network"),
        ("epochs", 13, "epochs"),
        ("mean_pose/test/regression_error", 0.27, "mean pose's test/regression_error"),
    ],
)
def test_rows_that_differ_are_refused_naming_the_odd_one(study: Study, where: str, value: object, field: str) -> None:
    odd = changed(make_result(*_OTHER_ROW), where, value)
    folder = study([odd, make_result("det_0.1", 1), make_result("det_0.1", 2)])
    with pytest.raises(UserError) as caught:
        write_report(folder)
    message = str(caught.value)
    assert message.startswith("runs det_0.1_s1 and det_1_s1 cannot be compared: " + field)
    assert f"rerun det_1_s1 or move its folder {folder / 'det_1_s1'} out of the study" in message
    assert "\n" not in message
    assert not [path for path in folder.iterdir() if path.is_file()], "nothing is written"


def test_the_majority_is_taken_for_right(study: Study) -> None:
    """The odd run comes first in the table's order, and is still the one to mend."""
    odd = changed(make_result("reg_only", 1, 1.0, 0.0), "provenance/data", "other")
    folder = study([odd, make_result("det_0.1", 1), make_result("det_0.1", 2)])
    with pytest.raises(UserError, match="rerun reg_only_s1"):
        check_comparable(collect_runs(folder))


@pytest.mark.parametrize(
    ("where", "value", "field"),
    [
        ("weights/detection", 0.2, "weights of row det_0.1"),
        ("provenance/config", "other", "config digest of row det_0.1"),
    ],
)
def test_seeds_of_one_row_must_share_weights_and_config(study: Study, where: str, value: object, field: str) -> None:
    folder = study([make_result(seed=1), changed(make_result(seed=2), where, value)])
    with pytest.raises(UserError, match=f"det_0.1_s1 and det_0.1_s2 cannot be compared: {field} differs"):
        check_comparable(collect_runs(folder))


def test_runs_that_did_not_finish_are_not_compared(study: Study) -> None:
    failed = changed(changed(make_result(*_OTHER_ROW), "provenance/data", "other"), "status", "failed")
    check_comparable(collect_runs(study([failed, make_result()])))


def test_what_may_differ(study: Study) -> None:
    """Device, revision, time and the last digit of the mean pose's score, and weights and config between rows."""
    other = make_result(*_OTHER_ROW)
    for where, value in {
        "provenance/git_revision": "other",
        "provenance/device": "cuda",
        "seconds": 1,
        "mean_pose/test/regression_error": 0.26 * (1 + 1e-7),
        "mean_pose/test/spread": ...,
    }.items():
        other = changed(other, where, value)
    check_comparable(collect_runs(study([make_result(), other])))


def test_a_package_of_ones_own_is_the_same_in_all_rows_that_have_it(study: Study) -> None:
    without, one = make_result(), changed(make_result(*_OTHER_ROW), "provenance/own_code", {"mine": "a"})
    two = changed(make_result("det_10", 1, 1.0, 10.0), "provenance/own_code", {"mine": "a", "other": "b"})
    check_comparable(collect_runs(study([without, one, two])))
    two = changed(two, "provenance/own_code", {"mine": "c"})
    with pytest.raises(UserError, match="det_1_s1 and det_10_s1 cannot be compared: code digest of mine differs"):
        check_comparable(collect_runs(study([without, one, two])))


def test_none_finished(study: Study) -> None:
    results = [changed(make_result(seed=seed), "status", "running") for seed in (1, 2)]
    results.append(changed(make_result(seed=3), "status", "failed") | {"error": "out of\nmemory"})
    with pytest.raises(UserError) as caught:
        write_report(study(results))
    states = "det_0.1_s1 (running), det_0.1_s2 (running), det_0.1_s3 (failed: out of memory)"
    assert str(caught.value) == f"3 runs, none finished: {states}; rerun the sweep"

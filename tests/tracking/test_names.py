"""The table of metric names: which family a name belongs to."""

import pytest

from hmlpe.tracking.names import METRICS, curve_of, known_of, recognise

TASKS = ("regression", "detection")


@pytest.mark.parametrize(
    ("name", "title", "better"),
    [
        ("val/regression_error", "regression error, val", "low"),
        ("test_lsp/detection_error", "detection error, test lsp", "low"),
        ("val/error_px", "joint error [px], val", "low"),
        ("test/pdj_modec_wrist@0.05", "PDJ wrist @0.05, test", "high"),
        ("val/pdj_modec_wrist_auc", "PDJ wrist, mean of the curve, val", "high"),
        ("val/pcp_strict_lower_arm", "PCP strict lower arm, val", "high"),
        ("val/window_ap", "window AP, val", "high"),
        ("val/window_ap_head_neck", "window AP head neck, val", "high"),
        ("train/detection_weighted", "detection loss times its weight", "low"),
        ("train/gradient/cosine", "cosine between the tasks' gradients", None),
        ("lr-AdamW/pg1", "learning rate, AdamW/pg1", None),
    ],
)
def test_a_name_is_recognised(name: str, title: str, better: str | None) -> None:
    named = recognise(name, TASKS)
    assert named is not None and named.title == title and named.metric.better == better


@pytest.mark.parametrize("name", ["val/spred", "train/phi", "train/tracking", "val/depth_error", "step", "media/poses"])
def test_another_name_is_not(name: str) -> None:
    """In particular not as a task's loss, unless it is a task's."""
    assert recognise(name, TASKS) is None


def test_another_task_has_metrics_too() -> None:
    assert recognise("train/depth", [*TASKS, "depth"]) is not None
    assert recognise("train/gradient/cosine_depth_detection", [*TASKS, "depth"]) is not None


def test_the_order_is_that_of_the_table_and_points_of_a_curve_know_it() -> None:
    names = ["lr-AdamW", "unknown", "val/pdj_modec_elbow@0.20", "val/pdj_modec_elbow@0.05", "val/regression_error"]
    found = known_of(names, TASKS)
    assert [named.name for named in found] == [names[4], names[3], names[2], names[0]]
    assert [METRICS.index(named.metric) for named in found] == sorted(METRICS.index(named.metric) for named in found)
    assert [curve_of(named) for named in found] == [
        None, ("curve/val/pdj_modec_elbow", 0.05), ("curve/val/pdj_modec_elbow", 0.2), None]  # fmt: skip

"""Rows are called by their weights, unless they are given a name; and what can be no folder's name."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.row_name import check_row_name, name_of_weights

WEIGHTS = st.one_of(st.floats(0, 1e6), st.integers(0, 1000))
ROWS = sorted(path.stem for path in (CONFIGS / "row").glob("*.yaml"))


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ({"regression": 1, "detection": 0.1}, "det_0.1"),
        ({"regression": 1.0, "detection": 1.0}, "det_1"),
        ({"regression": 1, "detection": 1e-4}, "det_0.0001"),
        ({"regression": 1, "detection": 0.1234567}, "det_0.1234567"),
        ({"regression": 1, "detection": 0}, "regression_only"),
        ({"regression": 1, "detection": -0.0}, "regression_only"),
        ({"regression": 0, "detection": 1}, "detection_only"),
        ({"regression": 0, "detection": 0.5}, "detection_only_0.5"),
        ({"regression": 0.5, "detection": 0.5}, "regression_0.5_det_0.5"),
        ({"regression": 1, "detection": 0.1, "mine": 2}, "det_0.1_mine_2"),
        ({"regression": 1, "detection": 0, "mine": 2}, "mine_2"),
        ({"regression": 0, "detection": 0}, "no_task"),
        ({"regression": 1, "detection": "much"}, "det_much"),
        (None, "no_weights"),
    ],
)
def test_the_name_says_the_weights(weights: object, name: str) -> None:
    assert name_of_weights(weights) == name


@given(WEIGHTS, WEIGHTS, WEIGHTS, WEIGHTS)
def test_other_weights_have_another_name(a: float, b: float, c: float, d: float) -> None:
    one, other = {"regression": a, "detection": b}, {"regression": c, "detection": d}
    assert (name_of_weights(one) == name_of_weights(other)) == (one == other)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        *(([f"row={row}"], row) for row in ROWS),  # a row's file is named as its row
        (["row.weights.detection=0.05"], "det_0.05"),
        (["row=det_10", "row.weights.detection=0.05"], "det_0.05"),
        (["row.weights.detection=0.05", "row.name=mine"], "mine"),
        (["+task@tasks.more=part_detection", "+row.weights.more=0.1"], "det_0.1_more_0.1"),
        (["experiment=finetune_buffy", "row.weights.detection=1"], "pretrained"),
        *(([f"balance={name}", "row=det_1"], f"det_1_{name}") for name in ("uncertainty", "pcgrad")),
        (["balance=pcgrad", "row.weights.detection=0.05", "row.name=mine"], "mine"),
        (["balance=pcgrad", "balance.name=null", "balance._target_=mine.Own"], "det_0.1_own"),
    ],
)
def test_a_configured_row(words: list[str], name: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", words)
    assert config.row.name == name and config.folder == f"outputs/{config.study}/{name}_s1"


@pytest.mark.parametrize("name", ["lr/0.1", "/tmp/a", "", " ", "a\nb", "x" * 300, "ü" * 130])
def test_what_can_be_no_folder_of_a_study(name: str) -> None:
    with pytest.raises(UserError, match=r"^row\.name: ") as raised:
        check_row_name(name, 1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["det_0.1", "größer als 1", "a=b, (c)", "x" * 252, 0.1, "..", "a\u202fb"])
def test_what_can(name: object) -> None:
    check_row_name(name, 1)

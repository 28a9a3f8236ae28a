"""Whose boxes say how upper-body windows are scaled."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.deploy.factors import DEFAULT, factors_of
from hmlpe.training.build import plain


def data_of(*overrides: str) -> dict:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found: dict = plain(compose("train", overrides=list(overrides)))["data"]
    return found


@pytest.mark.parametrize("name", ["buffy", "ethz", "sa", "waf"])
def test_sets_of_windows_give_their_own_factors(name: str) -> None:
    assert factors_of(data_of(f"data={name}", "data.boxes.factors=[1.5, 0.1, 2]")) == (1.5, 0.1, 2)


@pytest.mark.parametrize("name", ["lsp", "embedded", "flic"])
def test_other_sets_have_the_default(name: str) -> None:
    """FLIC's is what its window_factors say; a checkpoint from before that setting has none."""
    data = data_of(f"data={name}")
    data["boxes"].pop("window_factors", None)
    assert factors_of(data) == DEFAULT


def test_window_factors_come_first() -> None:
    data = data_of("data=flic")
    data["boxes"]["window_factors"] = [1, 2, 3]
    assert factors_of(data) == (1, 2, 3)


def test_of_several_sets_it_is_the_mean_of_those_that_trained_and_have_some() -> None:
    data = data_of("data=all", "data.known.buffy.boxes.factors=[1, 0, 2]")
    data["known"]["flic"]["boxes"]["window_factors"] = [3, 1, 4]
    data["train_sets"] = ["buffy", "flic", "lsp"]
    assert factors_of(data) == (2, 0.5, 3)
    data["train_sets"] = "lsp"
    assert factors_of(data) == DEFAULT
    data["train_sets"], data["sets"] = None, ["buffy"]
    assert factors_of(data) == (1, 0, 2)

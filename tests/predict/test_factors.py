"""How a detector's window becomes a network's box is what the rules of its sets say, whoever reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.detect.detector import Detections
from hmlpe.predict.export import export
from hmlpe.predict.onnx_file import OnnxEstimator
from hmlpe.predict.people import PosePredictor
from hmlpe.predict.trained import box_factors_of, load_trained
from hmlpe.settings import to_plain_containers

OWN = ["data=coco", "data.name=dogs", "data.source.images=x", "data.source.train=x", "data.source.test=y",
       "data.source.joints={head: nose}", "data.pack=x"]  # fmt: skip


def data_of(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found: dict[str, Any] = to_plain_containers(compose("train", overrides=list(overrides)))["data"]
    return found


@pytest.mark.parametrize("name", ["buffy", "ethz", "sa", "waf"])
def test_sets_of_windows_give_their_own_factors(name: str) -> None:
    assert box_factors_of(data_of(f"data={name}")) == (1.7, 0, 2.2)
    assert box_factors_of(data_of(f"data={name}", "data.boxes.factors=[1.5, 0.1, 2]")) == (1.5, 0.1, 2)


@pytest.mark.parametrize(("name", "factors"), [("flic", (1.75, 0.32, 2.37)), ("embedded", (1.75, 0.43, 1.43))])
def test_sets_whose_detections_are_no_windows_say_their_window_factors(name: str, factors: tuple[float, ...]) -> None:
    data = data_of(f"data={name}")
    assert box_factors_of(data) == factors
    data["boxes"]["window_factors"] = [1, 2, 3]
    assert box_factors_of(data) == (1, 2, 3)
    data["boxes"]["window_factors"] = None
    assert box_factors_of(data) is None


@pytest.mark.parametrize("name", ["lsp", "csv", "coco"])
def test_a_set_without_a_rule_has_none(name: str) -> None:
    """Nobody else's, FLIC's least of all."""
    more = [*OWN[1:2], "data.source.images=x", *(["data.source.table=x"] if name == "csv" else [])]
    assert (
        box_factors_of(data_of(*(OWN if name == "coco" else [f"data={name}", *(more if name == "csv" else [])])))
        is None
    )


def test_a_set_of_the_users_own_says_its_rule() -> None:
    assert box_factors_of(data_of(*OWN, "data.boxes.window_factors=[2, 1, 1]")) == (2, 1, 1)
    windows = [*OWN, "data.boxes.train=window", "data.boxes.test=window", "data.boxes.factors=[1.2, 0.1, 0.3]"]
    assert box_factors_of(data_of(*windows)) == (1.2, 0.1, 0.3)
    data = data_of(*windows)
    data["boxes"]["_target_"] = "mine.Boxes"  # whatever that does
    assert box_factors_of(data) is None


def test_of_several_sets_it_is_the_mean_of_those_that_trained_and_have_some() -> None:
    data = data_of("data=all", "data.known.buffy.boxes.factors=[1, 0, 2]")
    data["known"]["flic"]["boxes"]["window_factors"] = [3, 1, 4]
    data["train_sets"] = ["buffy", "flic", "lsp"]
    assert box_factors_of(data) == (2, 0.5, 3)
    data["train_sets"] = "lsp"
    assert box_factors_of(data) is None
    data["train_sets"], data["sets"] = None, ["buffy"]
    assert box_factors_of(data) == (1, 0, 2)


def test_a_network_without_a_rule_takes_the_given_box_and_says_so(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """As a checkpoint, and as the ONNX file made of it."""
    trained = load_trained(make_checkpoint(*OWN))
    export(trained, tmp_path, ["onnx"])
    estimator = OnnxEstimator(tmp_path / "model.onnx", threads=1)
    window = np.array([[3.0, 4, 50, 60]])
    predictor = PosePredictor(lambda image, name: Detections(window, np.ones(1)), estimator)
    ((person,),) = predictor.poses_of([np.zeros((80, 90, 3), np.uint8)], [Detections(window, np.ones(1))])
    np.testing.assert_allclose(person.box_px, window[0])
    for card in (trained.card, estimator.card):
        assert (
            card.factors is None
            and "no rule" in card.no_factors_warning
            and "detector=given" in card.no_factors_warning
        )
    assert not load_trained(make_checkpoint()).card.no_factors_warning

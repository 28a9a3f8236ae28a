"""The skeleton: the order of joints and parts, mirror pairs, and any other skeleton as a mere configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

CONFIGS = Path(__file__).parents[1] / "conf"
DOG = {
    "joints": [
        *("nose", "withers", "rump", "tail", "left_fore_paw", "right_fore_paw", "left_hind_paw", "right_hind_paw"),
        *("left_ear", "right_ear", "chest"),
    ],
    "parts": {
        "neck": ["nose", "withers"],
        "back": ["withers", "rump"],
        "tail": ["rump", "tail"],
        "left_foreleg": ["withers", "left_fore_paw"],
        "right_foreleg": ["withers", "right_fore_paw"],
    },
    "mirror": [["left_fore_paw", "right_fore_paw"], ["right_hind_paw", "left_hind_paw"], ["left_ear", "right_ear"]],
}


@pytest.fixture(scope="module")
def upper_body() -> Skeleton:
    return instantiate(OmegaConf.load(CONFIGS / "skeleton" / "upper_body.yaml"))


def test_upper_body_has_the_order_of_the_original(upper_body: Skeleton) -> None:
    """FACTS 2, grade A."""
    assert upper_body.joints == (
        "head",
        "left_shoulder",
        "neck",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
    )
    assert list(upper_body.parts) == [
        "head_neck",
        "left_shoulder_neck",
        "neck_right_shoulder",
        "left_upper_arm",
        "left_lower_arm",
        "right_upper_arm",
        "right_lower_arm",
    ]
    assert upper_body.part_ends == [(0, 2), (1, 2), (2, 3), (1, 4), (4, 6), (3, 5), (5, 7)]
    assert upper_body.mirror_order == [0, 3, 2, 1, 5, 4, 7, 6]


def test_mirror_swaps_left_and_right_by_name(upper_body: Skeleton) -> None:
    swapped = [upper_body.joints[i] for i in upper_body.mirror_order]
    other = {"left": "right", "right": "left"}
    assert swapped == [re.sub("left|right", lambda side: other[side[0]], joint) for joint in upper_body.joints]


@given(order=st.permutations(range(9)), pairs=st.integers(0, 4))
def test_mirror_order_is_an_involution(order: list[int], pairs: int) -> None:
    names = [f"joint{i}" for i in range(9)]
    mirror = [(names[order[2 * i]], names[order[2 * i + 1]]) for i in range(pairs)]
    found = Skeleton(names, {}, mirror).mirror_order
    assert [found[i] for i in found] == list(range(9))
    assert sum(i != j for i, j in enumerate(found)) == 2 * pairs
    assert all(found[names.index(a)] == names.index(b) for a, b in mirror)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"joints": ["a", "b", "a"]}, "a", id="joint doubled"),
        pytest.param({"joints": [], "parts": {}, "mirror": []}, "joints", id="no joints"),
        pytest.param({"parts": {"limb": ["a", "knee"]}}, "knee", id="part of an unknown joint"),
        pytest.param({"parts": {"limb": ["a"]}}, "limb", id="part of one joint"),
        pytest.param({"parts": {"limb": ["a", "b", "c"]}}, "limb", id="part of three joints"),
        pytest.param({"mirror": [["a", "paw"]]}, "paw", id="mirror of an unknown joint"),
        pytest.param({"mirror": [["a", "b"], ["c", "a"]]}, "two mirror pairs", id="joint in two pairs"),
        pytest.param({"mirror": [["a", "b"], ["b", "a"]]}, "two mirror pairs", id="pair doubled"),
        pytest.param({"mirror": [["a", "a"]]}, "two mirror pairs", id="joint paired with itself"),
        pytest.param({"mirror": [["a", "b", "c"]]}, "mirror", id="pair of three"),
    ],
)
def test_bad_skeleton_is_refused_in_one_line(changes: dict[str, Any], named: str) -> None:
    good = {"joints": ["a", "b", "c"], "parts": {"limb": ["a", "b"]}, "mirror": [["a", "b"]]}
    Skeleton(**good)
    with pytest.raises(UserError, match=named) as caught:
        Skeleton(**good | changes)
    assert "\n" not in str(caught.value)


def test_indices_by_name(upper_body: Skeleton) -> None:
    assert upper_body.indices(["right_wrist", "head"]) == [7, 0]
    with pytest.raises(UserError, match=r"metrics: wrist: no joint 'wrist'.*left_wrist"):
        upper_body.indices(["head", "wrist"], where="metrics: wrist")


def test_equality_is_by_content(upper_body: Skeleton) -> None:
    same = Skeleton(**upper_body.as_dict())
    assert same == upper_body
    assert hash(same) == hash(upper_body)
    content = upper_body.as_dict()
    assert Skeleton(**content | {"joints": content["joints"][::-1]}) != upper_body
    assert Skeleton(**content | {"mirror": []}) != upper_body
    assert Skeleton(**content | {"parts": {"head_neck": ["neck", "head"]}}) != upper_body


def test_another_skeleton_is_one_configuration(tmp_path: Path) -> None:
    """An animal goes through both tasks and the windows without a change of code."""
    (tmp_path / "skeleton").mkdir()
    content = yaml.safe_dump({"_target_": "hmlpe.skeleton.Skeleton", **DOG}, sort_keys=False)
    (tmp_path / "skeleton" / "dog.yaml").write_text(content)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", ["skeleton=dog", f"hydra.searchpath=[file://{tmp_path}]"])
    joints_px = torch.rand(3, 11, 2, generator=torch.Generator().manual_seed(1)) * 112
    joints_px[1, DOG["joints"].index("rump")] = torch.nan

    regression, detection = instantiate(config.tasks.regression), instantiate(config.tasks.detection)
    assert (regression.outputs, detection.outputs) == (2 * 11, 5 * 64)
    for task in (regression, detection):
        target = task.target({"joints_px": joints_px})
        assert target.values.shape == target.known.shape == (3, task.outputs)
        assert task.loss(torch.zeros(3, task.outputs), target).isfinite()
    assert regression.decode(torch.zeros(3, 22))["predicted_crop_px"].shape == (3, 11, 2)
    assert detection.decode(torch.zeros(3, 320))["part_maps"].shape == (3, 5, 64)
    known = detection.target({"joints_px": joints_px}).known.reshape(3, 5, 64)
    assert known.all(-1).tolist() == [[True] * 5, [True, False, False, True, True], [True] * 5]

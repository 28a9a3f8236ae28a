"""Part detection: which windows contain which part, what is masked, and the cross-entropy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from hmlpe.skeleton import Skeleton
from hmlpe.tasks import PartDetection, Target
from hmlpe.windows import WindowGrid

CONFIGS = Path(__file__).parents[2] / "conf"
PARTS = [(0, 2), (1, 2), (2, 3), (1, 4), (4, 6), (3, 5), (5, 7)]  # FACTS 2
NAN = float("nan")


@pytest.fixture(scope="module")
def task() -> PartDetection:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return instantiate(compose("train").tasks.detection)


def pose(seed: int = 0, batch: int = 2) -> Tensor:
    return torch.rand(batch, 8, 2, generator=torch.Generator().manual_seed(seed)) * 112


def test_target_is_the_indicator_of_every_part_and_window(task: PartDetection) -> None:
    joints = pose(batch=4)
    target = task.target({"joints_px": joints})
    assert task.outputs == 448
    assert target.values.shape == (4, 448)
    assert target.known.all()
    maps = target.values.reshape(4, 7, 64)
    for part, (first, second) in enumerate(PARTS):
        sticks = torch.stack([joints[:, first], joints[:, second]], dim=1)
        assert torch.equal(maps[:, part], WindowGrid().contains(sticks).float())
    assert 0 < target.values.mean() < 0.5


def test_target_by_hand(task: PartDetection) -> None:
    """A short lower arm inside two windows of the last row lights these two of its part's outputs alone."""
    joints = pose(batch=1)
    joints[0, 5], joints[0, 7] = torch.tensor([13.0, 104.0]), torch.tensor([20.0, 109.0])
    lit = task.target({"joints_px": joints}).values[0, 6 * 64 :].nonzero().flatten().tolist()
    assert lit == [7 * 8, 7 * 8 + 1]


@pytest.mark.parametrize("value", [[NAN, NAN], [NAN, 5.0], [5.0, NAN], [float("inf"), 5.0]])
@pytest.mark.parametrize("joint", range(8))
def test_joint_without_coordinates_masks_the_parts_that_end_in_it(
    task: PartDetection, joint: int, value: list[float]
) -> None:
    """All 64 windows of each, and nothing else."""
    joints = pose()
    complete = task.target({"joints_px": joints}).values
    joints[1, joint] = torch.tensor(value)
    target = task.target({"joints_px": joints})
    expected = torch.ones(2, 7, 64, dtype=torch.bool)
    for part, ends in enumerate(PARTS):
        expected[1, part] = joint not in ends
    assert torch.equal(target.known, expected.flatten(1))
    assert 64 <= int((~target.known).sum()) <= 3 * 64
    assert target.values.isfinite().all()
    assert torch.equal(target.values[target.known], complete[target.known])


def one_window() -> PartDetection:
    """Two parts and a single window of 29 px."""
    skeleton = Skeleton(["a", "b", "c"], {"first": ["a", "b"], "second": ["b", "c"]})
    return PartDetection(skeleton, WindowGrid(count=1))


def test_loss_by_hand() -> None:
    """Cross-entropies summed over the known outputs, divided by all people, those without a known part too."""
    task = one_window()
    joints = torch.tensor(
        [
            [[5.0, 5.0], [20.0, 20.0], [90.0, 90.0]],  # first inside, second out of the window
            [[5.0, 5.0], [20.0, 20.0], [NAN, NAN]],  # second unknown
            [[5.0, 5.0], [NAN, 20.0], [90.0, 90.0]],  # both unknown
        ]
    )
    target = task.target({"joints_px": joints})
    assert target.values.tolist() == [[1, 0], [1, 0], [0, 0]]
    assert target.known.tolist() == [[True, True], [True, False], [False, False]]
    odds = torch.tensor([[4.0, 1.0], [0.25, 9.0], [7.0, 7.0]])  # probabilities 0.8, 0.5; 0.2
    first, second = -math.log(0.8) - math.log(0.5), -math.log(0.2)
    assert task.loss(odds[:1].log(), task.target({"joints_px": joints[:1]})).item() == pytest.approx(first)
    assert task.loss(odds[:2].log(), task.target({"joints_px": joints[:2]})).item() == pytest.approx(
        (first + second) / 2
    )
    assert task.loss(odds.log(), target).item() == pytest.approx((first + second) / 3)


@given(seed=st.integers(0, 999), spread=st.floats(0, 20))
def test_loss_is_the_papers_cross_entropy(task: PartDetection, seed: int, spread: float) -> None:
    """FACTS 1: E_d = -b log b̂ - (1 - b) log(1 - b̂), b̂ the logistic function of the output."""
    target = task.target({"joints_px": pose(seed)})
    output = torch.randn(2, 448, generator=torch.Generator().manual_seed(seed)) * spread
    z, b = output.double().numpy(), target.values.numpy()
    inside, outside = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))  # outside is 1 - inside without cancellation
    expected = (-b * np.log(inside) - (1 - b) * np.log(outside)).sum(axis=1).mean()
    assert task.loss(output, target).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("logit", "truth", "expected"), [(100, 1, 0), (-100, 0, 0), (100, 0, 100), (-100, 1, 100)])
def test_loss_is_stable_at_large_logits(logit: float, truth: float, expected: float) -> None:
    output = torch.full((1, 2), float(logit), requires_grad=True)
    target = Target(torch.full((1, 2), float(truth)), torch.tensor([[True, False]]))
    loss = one_window().loss(output, target)
    loss.backward()
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert output.grad is not None
    assert output.grad[0].tolist() == pytest.approx([(logit > 0) - truth, 0.0], abs=1e-6)


def test_masked_outputs_get_no_gradient(task: PartDetection) -> None:
    joints, output = pose(), torch.zeros(2, 448, requires_grad=True)
    joints[0, 4] = NAN
    target = task.target({"joints_px": joints})
    task.loss(output, target).backward()
    assert output.grad is not None
    assert torch.equal(output.grad != 0, target.known)


def test_a_wild_masked_output_does_not_spoil_the_loss(task: PartDetection) -> None:
    joints, output = pose(), torch.zeros(2, 448)
    joints[0, 6] = NAN
    target = task.target({"joints_px": joints})
    expected = task.loss(output, target)
    assert expected.item() == pytest.approx((2 * 448 - 64) * math.log(2) / 2, rel=1e-5)
    output[~target.known] = NAN
    assert torch.equal(task.loss(output, target), expected)


def test_decoding_gives_probabilities_by_part_and_window(task: PartDetection) -> None:
    output = torch.zeros(3, 448)
    output[1, 4 * 64 + 10] = 100
    output[2, 64 - 1] = -100
    maps = task.decode(output)["part_maps"]
    assert maps.shape == (3, 7, 64)
    assert maps[1, 4, 10] == 1
    assert maps[2, 0, 63] == pytest.approx(0, abs=1e-30)
    assert ((maps == 0.5).sum(), maps.numel()) == (3 * 448 - 2, 3 * 448)
    assert task.decode(output.bfloat16())["part_maps"].dtype == torch.float32


def test_decoding_a_sure_output_gives_the_target(task: PartDetection) -> None:
    values = task.target({"joints_px": pose()}).values
    maps = task.decode((values - 0.5) * 200)["part_maps"]
    torch.testing.assert_close(maps, values.reshape(2, 7, 64))


def test_there_is_no_constant_to_start_from(task: PartDetection) -> None:
    assert task.constant_output(pose()[0]) is None


def test_wrong_shapes_raise(task: PartDetection) -> None:
    with pytest.raises(TypeCheckError, match="joints_px"):
        task.target({"joints_px": torch.zeros(2, 16)})
    with pytest.raises(TypeCheckError, match="values"):
        task.loss(torch.zeros(2, 447), task.target({"joints_px": pose()}))
    with pytest.raises(TypeCheckError, match="output"):
        task.decode(torch.zeros(2, 7, 64))

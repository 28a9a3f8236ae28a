"""Joint regression: its target, what is masked, its loss by hand, and decoding as the target's inverse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from hmlpe.metrics import TaskError
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression

CONFIGS = Path(__file__).parents[2] / "conf"
NAN = float("nan")


@pytest.fixture(scope="module")
def task() -> JointRegression:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return instantiate(compose("train").tasks.regression)


def two_joints() -> JointRegression:
    """Two joints in a crop of 100 px."""
    return JointRegression(Skeleton(["a", "b"], {}), size_px=100, limit=0.999)


def pose(seed: int = 0, batch: int = 2) -> Tensor:
    return torch.rand(batch, 8, 2, generator=torch.Generator().manual_seed(seed)) * 111


def test_target_is_the_joint_in_crop_sizes(task: JointRegression) -> None:
    """FACTS 2: pixel / 112, 16 outputs, x and y of each joint in turn."""
    joints = pose()
    target = task.target({"joints_px": joints})
    assert task.outputs == 16
    assert target.known.all()
    for joint in range(8):
        torch.testing.assert_close(target.values[:, 2 * joint : 2 * joint + 2], joints[:, joint] / 112)


def test_joint_outside_the_crop_keeps_its_place_up_to_tanhs_range(task: JointRegression) -> None:
    joints = pose(batch=1)
    joints[0, 3] = torch.tensor([-28.0, 111.0])
    joints[0, 4] = torch.tensor([300.0, -300.0])
    joints[0, 5] = torch.tensor([112.0, -112.0])
    target = task.target({"joints_px": joints})
    assert target.known.all()
    expected = torch.tensor([-0.25, 111 / 112, 0.999, -0.999, 0.999, -0.999])
    torch.testing.assert_close(target.values[0, 6:12], expected)


@pytest.mark.parametrize("value", [[NAN, NAN], [NAN, 5.0], [5.0, NAN], [float("inf"), 5.0]])
@pytest.mark.parametrize("joint", range(8))
def test_joint_without_coordinates_masks_its_two_outputs(task: JointRegression, joint: int, value: list[float]) -> None:
    joints = pose()
    complete = task.target({"joints_px": joints}).values
    joints[1, joint] = torch.tensor(value)
    target = task.target({"joints_px": joints})
    expected = torch.ones(2, 16, dtype=torch.bool)
    expected[1, 2 * joint : 2 * joint + 2] = False
    assert torch.equal(target.known, expected)
    assert target.values.isfinite().all()
    assert torch.equal(target.values[expected], complete[expected])


def test_target_leaves_the_joints_alone(task: JointRegression) -> None:
    joints = pose()
    joints[0, 0] = NAN
    before = joints.clone()
    task.target({"joints_px": joints})
    torch.testing.assert_close(joints, before, equal_nan=True)


def test_loss_by_hand() -> None:
    """Squares summed over the known coordinates, divided by all people, those without a known joint too."""
    task = two_joints()
    joints = torch.tensor([[[50.0, 20.0], [NAN, NAN]], [[10.0, 10.0], [20.0, 20.0]], [[NAN, NAN], [NAN, 3.0]]])
    output = torch.tensor([[0.6, 0.1, 0.3, 0.3], [0.1, 0.3, 0.2, -0.2], [0.9, 0.9, 0.9, 0.9]]).atanh()
    target = task.target({"joints_px": joints})
    assert task.loss(output[:1], task.target({"joints_px": joints[:1]})).item() == pytest.approx(0.01 + 0.01)
    assert task.loss(output[:2], task.target({"joints_px": joints[:2]})).item() == pytest.approx(
        (0.02 + 0.04 + 0.16) / 2
    )
    assert task.loss(output, target).item() == pytest.approx((0.02 + 0.20 + 0) / 3)


def test_sample_errors_count_known_people() -> None:
    task = two_joints()
    joints = torch.tensor([[[50.0, 20.0], [NAN, NAN]], [[NAN, NAN], [NAN, 3.0]], [[10.0, 10.0], [20.0, 20.0]]])
    output = torch.tensor([[0.6, 0.1, 0.3, 0.3], [0.9, 0.9, 0.9, 0.9], [NAN, 0.1, 0.2, 0.2]]).atanh()
    target = task.target({"joints_px": joints})
    assert target.has_known.tolist() == [True, False, True]
    errors = task.sample_errors(output, target)
    assert errors[0].item() == pytest.approx(0.01 + 0.01) and errors[1:].isnan().all()
    mean = TaskError("regression", "r")
    mean.update(errors[:2], target.has_known[:2])
    assert mean.compute()["regression_error"].item() == pytest.approx(0.02), "over one person, not over two"
    mean.update(errors[2:], target.has_known[2:])
    assert not mean.compute()["regression_error"].isfinite(), "of a broken prediction"


def test_loss_is_the_papers_sum_over_joints(task: JointRegression) -> None:
    """FACTS 1: E_r = ||J - Ĵ||², J in crop sizes."""
    joints, output = pose(batch=5), torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    expected = (output.double().tanh().reshape(5, 8, 2) - joints.double() / 112).norm(dim=-1).square().sum(1).mean()
    assert task.loss(output, task.target({"joints_px": joints})).item() == pytest.approx(expected.item(), rel=1e-5)


def test_masked_outputs_get_no_gradient(task: JointRegression) -> None:
    joints, output = pose(), torch.full((2, 16), 0.3, requires_grad=True)
    joints[0, 2] = NAN
    target = task.target({"joints_px": joints})
    task.loss(output, target).backward()
    assert output.grad is not None
    assert (output.grad[~target.known] == 0).all()
    assert (output.grad[target.known] != 0).all()


def test_a_wild_masked_output_does_not_spoil_the_loss(task: JointRegression) -> None:
    joints, output = pose(), torch.zeros(2, 16)
    joints[0, 2] = NAN
    target = task.target({"joints_px": joints})
    expected = task.loss(output, target)
    output[0, 4:6] = torch.tensor([NAN, float("inf")])
    assert torch.equal(task.loss(output, target), expected)


def test_loss_is_finite_far_from_the_target(task: JointRegression) -> None:
    output = torch.full((2, 16), -100.0, requires_grad=True)
    loss = task.loss(output, task.target({"joints_px": pose()}))
    loss.backward()
    assert loss.isfinite()
    assert output.grad is not None
    assert output.grad.isfinite().all()


def test_loss_is_single_precision_under_autocast(task: JointRegression) -> None:
    output = torch.randn(2, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = task.loss(output, task.target({"joints_px": pose()}))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, task.loss(output.float(), task.target({"joints_px": pose()})))


@given(coordinates=st.lists(st.floats(-111, 111, width=32), min_size=16, max_size=16))
def test_decoding_is_the_targets_inverse(task: JointRegression, coordinates: list[float]) -> None:
    joints = torch.tensor(coordinates).reshape(1, 8, 2)
    decoded = task.decode(task.target({"joints_px": joints}).values.atanh())
    assert list(decoded) == ["predicted_crop_px"]
    torch.testing.assert_close(decoded["predicted_crop_px"], joints, rtol=0, atol=0.01)


def test_constant_output_is_the_mean_pose(task: JointRegression) -> None:
    mean = pose(seed=4, batch=1)[0]
    constant = task.constant_output(mean)
    assert constant.shape == (16,)
    decoded = task.decode(constant.expand(3, -1))["predicted_crop_px"]
    torch.testing.assert_close(decoded, mean.expand(3, -1, -1), rtol=0, atol=0.01)


def test_constant_output_outside_the_crop_is_finite(task: JointRegression) -> None:
    mean = pose(batch=1)[0]
    mean[7] = torch.tensor([115.0, -200.0])
    constant = task.constant_output(mean)
    assert constant.isfinite().all()
    decoded = task.decode(constant[None])["predicted_crop_px"][0, 7]
    torch.testing.assert_close(decoded, torch.tensor([0.999, -0.999]) * 112, rtol=0, atol=0.01)


def test_mean_pose_has_the_least_error_of_all_constants(task: JointRegression) -> None:
    """What the table's mean-pose row stands on."""
    joints = pose(batch=40)
    target, mean = task.target({"joints_px": joints}), joints.mean(0)
    error = task.loss(task.constant_output(mean).expand(40, -1), target)
    for seed in range(5):
        other = mean + torch.randn(8, 2, generator=torch.Generator().manual_seed(seed))
        assert task.loss(task.constant_output(other).expand(40, -1), target) > error


def test_wrong_shapes_raise(task: JointRegression) -> None:
    with pytest.raises(TypeCheckError, match="joints_px"):
        task.target({"joints_px": torch.zeros(2, 8, 3)})
    with pytest.raises(TypeCheckError, match="joints_px"):
        task.target({"joints_px": torch.zeros(8, 2)})
    with pytest.raises(TypeCheckError, match="output"):
        task.decode(torch.zeros(2, 8, 2))
    with pytest.raises(TypeCheckError, match="values"):
        task.loss(torch.zeros(2, 14), task.target({"joints_px": pose()}))
    with pytest.raises(TypeCheckError, match="values"):
        task.loss(torch.zeros(1, 16), task.target({"joints_px": pose()}))

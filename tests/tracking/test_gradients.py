"""Norms and cosine of the tasks' gradients."""

import math

import pytest
import torch
from torch import nn

from hmlpe.tracking.gradients import layer_norms_and_cosines, norms_and_cosines, task_gradients


def test_the_gradients_are_those_of_each_loss_and_leave_nothing_behind() -> None:
    """And the way back of their sum is the same afterwards, to the bit."""
    torch.manual_seed(0)
    trunk, heads = nn.Linear(5, 4), {name: nn.Linear(4, 2) for name in ("regression", "detection")}
    x = torch.randn(7, 5)
    losses = {name: head(trunk(x).tanh()).square().mean() for name, head in heads.items()}
    expected = {}
    for name, loss in losses.items():
        trunk.zero_grad()
        loss.backward(retain_graph=True)
        expected[name] = torch.cat([parameter.grad.flatten().clone() for parameter in trunk.parameters()])
    trunk.zero_grad()
    torch.stack(list(losses.values())).sum().backward(retain_graph=True)
    total = [parameter.grad.clone() for parameter in trunk.parameters()]
    trunk.zero_grad(set_to_none=True)

    found = task_gradients(losses, list(trunk.parameters()))
    assert all(parameter.grad is None for parameter in trunk.parameters())
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient)
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.equal(a, parameter.grad) for a, parameter in zip(total, trunk.parameters(), strict=True))


def test_the_diagnosis_of_known_gradients() -> None:
    found = norms_and_cosines({"regression": torch.tensor([3.0, 0.0]), "detection": torch.tensor([1.0, 1.0])})
    assert found == pytest.approx({"norm_regression": 3, "norm_detection": math.sqrt(2), "cosine": math.sqrt(0.5)})
    against = norms_and_cosines({"a": torch.tensor([1.0]), "b": torch.tensor([-2.0]), "c": torch.tensor([0.0])})
    assert against["cosine_a_b"] == -1 and math.isnan(against["cosine_a_c"]) and "cosine" not in against
    assert norms_and_cosines({"regression": torch.tensor([0.5])}) == {"norm_regression": 0.5}


def test_layers_are_diagnosed_by_their_weights_alone() -> None:
    trunk = nn.Sequential()
    trunk.add_module("first", nn.Linear(1, 2))
    trunk.add_module("norm", nn.BatchNorm1d(2))
    trunk.add_module("second", nn.Linear(2, 1))
    parameters = {f"trunk.{name}": parameter for name, parameter in trunk.named_parameters()}
    nine = [0.0] * 9  # first: weight 2, bias 2; norm: 2 and 2; second: weight 2, bias 1
    values = {"a": [3.0, 4.0, *nine], "b": [0.0, 2.0, *nine]}
    values["a"][8:10], values["b"][8:10] = [1.0, 0.0], [-2.0, 0.0]
    found = layer_norms_and_cosines({task: torch.tensor(value) for task, value in values.items()}, parameters)
    assert found == pytest.approx(
        {"first/norm_a": 5, "first/norm_b": 2, "first/cosine": 0.8}
        | {"second/norm_a": 1, "second/norm_b": 2, "second/cosine": -1}
    )

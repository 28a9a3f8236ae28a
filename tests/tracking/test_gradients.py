"""Norms and cosine of the tasks' gradients."""

import math

import pytest
import torch
from torch import nn

from hmlpe.tracking.gradients import diagnose, gradients_at


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

    found = gradients_at(losses, list(trunk.parameters()))
    assert all(parameter.grad is None for parameter in trunk.parameters())
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient)
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.equal(a, parameter.grad) for a, parameter in zip(total, trunk.parameters(), strict=True))


def test_the_diagnosis_of_known_gradients() -> None:
    found = diagnose({"regression": torch.tensor([3.0, 0.0]), "detection": torch.tensor([1.0, 1.0])})
    assert found == pytest.approx({"norm_regression": 3, "norm_detection": math.sqrt(2), "cosine": math.sqrt(0.5)})
    against = diagnose({"a": torch.tensor([1.0]), "b": torch.tensor([-2.0]), "c": torch.tensor([0.0])})
    assert against["cosine_a_b"] == -1 and math.isnan(against["cosine_a_c"]) and "cosine" not in against
    assert diagnose({"regression": torch.tensor([0.5])}) == {"norm_regression": 0.5}

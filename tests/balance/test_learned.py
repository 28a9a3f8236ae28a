"""Balances by themselves, where the answer is known: two parabolas, and gradients that conflict or do not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hmlpe.balance import Balance, FixedWeights, PCGrad, ScheduledWeights, StepInfo, UncertaintyWeights
from hmlpe.errors import UserError

NOW = StepInfo(seed=3, epoch=0, step=0)
BOTH = {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": 1.0}, {"a": 0.01, "b": 7.0}])
def test_learned_weights_reach_their_optimum(weights: dict[str, float]) -> None:
    """Of (x - 1)^2 + 4 and ten times (x + 1)^2 + 4 the logarithms' sum is least at 0: there they are 5 and 50."""
    balance, x = UncertaintyWeights(weights).double(), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert balance.effective_weights() == weights
    optimizer = torch.optim.LBFGS([x, *balance.parameters()], max_iter=300, line_search_fn="strong_wolfe")

    def phi() -> Tensor:
        optimizer.zero_grad()
        losses = {"a": (x - 1) ** 2 + 4, "b": 10 * ((x + 1) ** 2 + 4)}
        value = sum(balance.terms(losses, NOW).values(), balance.extra_loss())
        value.backward()
        return value

    optimizer.step(phi)
    assert x.item() == pytest.approx(0, abs=1e-3)
    expected = [math.log(weights["a"] * 5), math.log(weights["b"] * 50)]
    assert balance.log_variances.tolist() == pytest.approx(expected, abs=1e-3)
    assert balance.effective_weights() == pytest.approx({"a": 1 / 5, "b": 1 / 50}, rel=1e-3)


def test_what_a_balance_does_is_known_from_what_it_overrides() -> None:
    found = {type(b): (b.combines_gradients, b.changes_weights, len(list(b.parameters())), len(b.state_dict()))
             for b in (FixedWeights(BOTH), UncertaintyWeights(BOTH), PCGrad(BOTH))}  # fmt: skip
    assert found == {
        FixedWeights: (False, False, 0, 0), UncertaintyWeights: (False, True, 1, 1), PCGrad: (True, False, 0, 0)
    }  # fmt: skip


def gradients(**given: list[float]) -> dict[str, Tensor]:
    return {name: torch.tensor(values) for name, values in given.items()}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1000.0])
def test_conflicting_gradients_are_projected(scale: float) -> None:
    """(1, 0) and (-1, 1): the one loses its part along the other, (1/2, 1/2), and the other becomes (0, 1)."""
    found = PCGrad(BOTH).combine(gradients(a=[1.0, 0.0], b=[-scale, scale]), NOW)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5 + scale]))


def test_opposite_gradients_leave_nothing() -> None:
    assert torch.equal(PCGrad(BOTH).combine(gradients(a=[2.0, 0.0], b=[-5.0, 0.0]), NOW), torch.zeros(2))
    nothing = gradients(a=[2.0, 1.0], b=[0.0, 0.0])
    assert torch.equal(PCGrad(BOTH).combine(nothing, NOW), nothing["a"])


POSITIVE = st.lists(st.floats(2**-10, 2**10, width=32), min_size=4, max_size=4)


@given(a=POSITIVE, b=POSITIVE, c=POSITIVE)
def test_without_conflict_it_is_the_plain_sum_to_the_bit(a: list[float], b: list[float], c: list[float]) -> None:
    found = gradients(a=a, b=b, c=c)
    assert torch.equal(PCGrad(dict.fromkeys("abc", 1.0)).combine(found, NOW), found["a"] + found["b"] + found["c"])


def test_two_projected_gradients_oppose_neither() -> None:
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        a, b = torch.randn(2, 50, generator=draw).double()
        b = b - a  # they conflict
        found = PCGrad(BOTH).combine({"a": a, "b": b}, NOW)
        assert torch.dot(found, a) > -1e-9 and torch.dot(found, b) > -1e-9


def test_the_order_of_three_is_drawn_by_seed_and_step_and_by_nothing_else() -> None:
    given = gradients(a=[1.0, 0.0, 0.2], b=[-1.0, 0.7, 0.0], c=[-0.2, -1.0, 0.1])
    balance = PCGrad(dict.fromkeys("abc", 1.0))
    before = torch.get_rng_state()
    found = [balance.combine(given, StepInfo(seed, 0, step)) for seed in (1, 2) for step in range(8)]
    assert torch.equal(torch.get_rng_state(), before)
    assert len({tuple(one.tolist()) for one in found}) > 2
    torch.rand(3)
    again = [balance.combine(given, StepInfo(seed, 5, step)) for seed in (1, 2) for step in range(8)]
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


def test_a_balance_is_what_is_written_of_it() -> None:
    """The least that one of one's own says."""

    class Halved(Balance):
        def terms(self, losses: dict[str, Tensor], step_info: StepInfo) -> dict[str, Tensor]:
            return {name: term / 2 for name, term in super().terms(losses, step_info).items()}

    terms = Halved({"a": 3.0, "b": 0.0}).checked_terms({"a": torch.tensor(2.0), "b": torch.tensor(1.0)}, NOW)
    assert terms == {"a": 3.0}


def test_a_schedule_s_factors() -> None:
    balance = ScheduledWeights({"a": 2.0, "b": 1.0, "c": 0.0}, [["b", 4, 0.5], ["b", 2, 0]])
    losses = {"a": torch.tensor(1.0), "b": torch.tensor(10.0)}
    found = [balance.terms(losses, StepInfo(seed=3, epoch=epoch, step=0))["b"].item() for epoch in range(6)]
    assert found == [10, 10, 0, 0, 5, 5] and balance.effective_weights() == {"a": 2, "b": 0.5}
    assert balance.changes_weights and not balance.combines_gradients


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ([["c", 0, 1]], "balance.factors: no weight for c; the row has weights for a, b"),
        ([["a", 1.5, 1]], "balance.factors: must be triples of a task, a whole epoch and a finite factor"),
        ([["a", 1, -1]], r"got \['a', 1, -1\]"),
        ([["a", 1, math.nan]], "finite factor"),
        ([3], "got 3"),
    ],
)
def test_a_bad_schedule_is_refused(factors: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ScheduledWeights(BOTH | {"c": 0.0}, factors)

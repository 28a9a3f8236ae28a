"""The two rules of PCP on sticks made by hand (FACTS 6)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hmlpe.metrics import OfficialPCP, StrictPCP
from hmlpe.metrics.pcp import official_errors, strict_errors

NAN = float("nan")
TRUE = ((0, 0), (10, 0))  # a stick of length 10 along x
Ends = tuple[tuple[float, float], tuple[float, float]]


def stick(*ends: Any) -> Tensor:
    return torch.tensor(ends, dtype=torch.float64).reshape(-1, 1, 2, 2)


def share(metric: StrictPCP, predicted: Tensor, truth: Tensor) -> float:
    metric.update(predicted, truth)
    (value,) = metric.compute().values()
    return float(value)


def official(predicted: Any, truth: Any = TRUE) -> float:
    return share(OfficialPCP(["a"], {"a": ["a"]}), stick(predicted), stick(truth))


def strict(predicted: Any, truth: Any = TRUE, free: bool = False) -> float:
    return share(StrictPCP(["a"], {"a": ["a"]}, free_ends=free), stick(predicted), stick(truth))


@pytest.mark.parametrize(
    ("predicted", "by_official", "by_strict"),
    [
        (((0, 0), (10, 0)), 1, 1),
        (((0, 0), (10, 9)), 1, 0),  # one end far, the other exact: a mean of 4.5 across
        (((0, 0), (19, 0)), 1, 0),  # the same along
        (((4.9, 4.9), (10, 0)), 1, 0),  # 6.9 off: within 5 along and across, each by itself
        (((4, 4), (14, 4)), 1, 0),  # the same at both ends
        (((0, 0), (10, 11)), 0, 0),
        (((0, 5), (10, 5)), 0, 1),  # half the length itself: strict includes it, the tool does not
        (((0, 4.999), (10, 4.999)), 1, 1),
        (((0, 0), (10, 10)), 0, 0),  # a mean of 5 itself
        (((0, 0), (10, 9.999)), 1, 0),
        (((-5, 0), (15, 0)), 0, 1),
        (((0, 3), (10, -3)), 1, 1),  # errors across do not cancel
        (((0, 6), (10, -6)), 0, 0),
        (((6, 0), (16, 0)), 0, 0),  # paired with the far end, it is off by more
    ],
)
def test_both_rules(predicted: Ends, by_official: int, by_strict: int) -> None:
    assert (official(predicted), strict(predicted)) == (by_official, by_strict)


def test_official_turns_the_errors_onto_the_true_stick() -> None:
    """Along and across are the stick's, not the image's: 6.4 along a slanted stick is 4.5 in x and in y."""
    slanted = ((0, 0), (7.0710678, 7.0710678))
    assert official(((4.5, 4.5), (11.5710678, 11.5710678)), slanted) == 0
    assert official(((3.5, 3.5), (10.5710678, 10.5710678)), slanted) == 1
    assert official(((0, 6.4), (7.0710678, 13.4710678)), slanted) == 1  # 4.5 along and 4.5 across


def test_errors_by_hand() -> None:
    truth = stick(((0, 0), (0, 20)))
    predicted = stick(((3, 1), (-5, 22)))
    assert official_errors(predicted, truth).item() == pytest.approx(4 / 20)  # across (3 + 5) / 2, along (1 + 2) / 2
    assert strict_errors(predicted, truth, free_ends=False).item() == pytest.approx(math.hypot(5, 2) / 20)


def test_pairing() -> None:
    """Turned by its ends: strict counts it only where the order says nothing, the tool always."""
    turned = ((10, 1), (0, 1))
    assert (official(turned), strict(turned), strict(turned, free=True)) == (1, 0, 1)


def test_official_pairs_by_the_first_end_alone() -> None:
    """Both ends lie near the same true end: the first one takes it, though the other order would pass."""
    first, second = (8, 0), (14, 0)
    assert official((first, second)) == 0  # 8 meets 10 and 14 meets 0: a mean of 8
    assert official((second, first)) == 0  # 14 meets 10 and 8 meets 0: a mean of 6
    first, second = (6, 0), (13, 0)
    assert official((first, second)) == 0  # 6 meets 10 and 13 meets 0: a mean of 8.5
    assert official(((4, 0), (13, 0))) == 1  # 4 meets 0 and 13 meets 10: a mean of 3.5
    assert official(((13, 0), (4, 0))) == 1
    assert official(((5.5, 0), (12, 0))) == 0 and official(((12, 0), (5.5, 0))) == 1  # the order of its ends matters
    assert strict(((5.5, 0), (12, 0)), free=True) == strict(((12, 0), (5.5, 0)), free=True) == 0


def test_strict_takes_the_better_pairing_of_both_ends() -> None:
    """Not of each end by itself: two estimates near one true end are no stick."""
    assert strict(((9, 0), (10, 0)), free=True) == 0
    assert strict(((4, 0), (5, 0)), free=True) == 1
    assert strict(((5, 0), (4, 0)), free=True) == 1


@pytest.mark.parametrize("rule", [official, strict])
def test_a_true_stick_of_no_length(rule: Any) -> None:
    """No distance is within half of nothing."""
    assert rule(((3, 3), (3, 4)), ((3, 3), (3, 3))) == 0
    assert strict(((3, 3), (3, 3)), ((3, 3), (3, 3))) == 1


@pytest.mark.parametrize("metric", [OfficialPCP, StrictPCP])
def test_who_counts(metric: type[StrictPCP]) -> None:
    """An unknown end takes a true stick out; a stick that is not predicted, or half predicted, is wrong."""
    truth = stick(TRUE, TRUE, TRUE, TRUE, ((0, 0), (10, NAN)), ((NAN, NAN), (NAN, NAN)))
    predicted = stick(TRUE, ((NAN, NAN), (NAN, NAN)), ((NAN, NAN), (10, 0)), ((0, 0), (NAN, NAN)), TRUE, TRUE)
    assert share(metric(["a"], {"a": ["a"]}), predicted, truth) == 0.25
    assert share(metric(["a"], {"a": ["a"]}, free_ends=True), predicted[:, :, [1, 0]], truth) == 0.25
    assert math.isnan(share(metric(["a"], {"a": ["a"]}), predicted[4:], truth[4:]))


def test_a_group_is_the_mean_of_its_sticks() -> None:
    """The first of two sticks: 1 of 1 known, the other 1 of 3."""
    truth = torch.tensor(TRUE, dtype=torch.float64).expand(3, 2, 2, 2).clone()
    predicted = truth.clone()
    truth[1:, 0] = NAN
    predicted[1:, 1] += 50
    assert share(OfficialPCP(["a", "b"], {"both": ["a", "b"]}), predicted, truth) == pytest.approx((1 + 1 / 3) / 2)


coordinates = st.floats(-100, 100, allow_subnormal=False)
sticks = st.lists(coordinates, min_size=4, max_size=4).map(stick)
long_sticks = sticks.filter(lambda one: float((one[0, 0, 0] - one[0, 0, 1]).norm()) > 1)


@settings(max_examples=25)
@given(
    predicted=sticks,
    truth=long_sticks,
    angle=st.floats(-4, 4),
    scale=st.floats(0.1, 20),
    x=coordinates,
    y=coordinates,
    mirrored=st.booleans(),
)
def test_moved_turned_scaled_and_mirrored_alike_nothing_changes(
    predicted: Tensor, truth: Tensor, angle: float, scale: float, x: float, y: float, mirrored: bool
) -> None:
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    turn = turn @ torch.diag(torch.tensor([-1.0 if mirrored else 1.0, 1.0], dtype=torch.float64)) * scale
    moved = [one @ turn.T + torch.tensor([x, y], dtype=torch.float64) for one in (predicted, truth)]
    first = (predicted[..., :1, :] - truth).norm(dim=-1)
    tie = bool((first[..., 0] - first[..., 1]).abs() < 1e-6)  # which end is nearer could change by rounding
    if not tie:
        torch.testing.assert_close(official_errors(*moved), official_errors(predicted, truth), rtol=1e-6, atol=1e-6)
    for free in (False, True):
        expected = strict_errors(predicted, truth, free)
        torch.testing.assert_close(strict_errors(*moved, free), expected, rtol=1e-6, atol=1e-6)


@given(predicted=sticks, truth=long_sticks)
def test_how_the_rules_compare(predicted: Tensor, truth: Tensor) -> None:
    free, paired = strict_errors(predicted, truth, True), strict_errors(predicted, truth, False)
    assert float(free) <= float(paired)
    assert float(free) == float(strict_errors(predicted.flip(-2), truth, True))
    assert float(free) == pytest.approx(float(strict_errors(predicted, truth.flip(-2), True)))
    first = (predicted[..., :1, :] - truth).norm(dim=-1)
    if (
        first[..., 0] <= first[..., 1]
    ).all():  # the tool pairs as they stand: a mean of shadows is no more than the worse end
        assert float(official_errors(predicted, truth)) <= float(paired) + 1e-9


@given(predicted=sticks, truth=long_sticks)
def test_official_by_brute_force(predicted: Tensor, truth: Tensor) -> None:
    """The rule once more, in complex numbers."""
    a, b = (complex(*end) for end in truth[0, 0].tolist())
    p, q = (complex(*end) for end in predicted[0, 0].tolist())
    if abs(abs(p - a) - abs(p - b)) < 1e-9:
        return
    near, far = (a, b) if abs(p - a) < abs(p - b) else (b, a)
    errors = [(p - near) / (far - near), (q - far) / (far - near)]  # in lengths of the true stick, turned onto it
    expected = max(sum(abs(e.real) for e in errors) / 2, sum(abs(e.imag) for e in errors) / 2)
    assert float(official_errors(predicted, truth)) == pytest.approx(expected, rel=1e-9, abs=1e-9)

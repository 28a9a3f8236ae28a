"""The order of an epoch: a function of (seed, epoch), and fair to small sets where that is asked for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.datamodule import EpochSampler

GROUPS = st.lists(st.sampled_from(["flic", "lsp", "buffy", "w"]), min_size=1, max_size=60).map(np.array)
SEED, EPOCH = st.integers(0, 2**31), st.integers(0, 500)


def order(sampler: EpochSampler, epoch: int) -> list[int]:
    """The rows of an epoch, each of which carries it."""
    sampler.set_epoch(epoch)
    keys = list(sampler)
    assert {key[0] for key in keys} <= {epoch} and all(type(part) is int for key in keys for part in key)
    assert len(keys) == len(sampler)
    return [key[1] for key in keys]


@given(length=st.integers(1, 80), seed=SEED, epoch=EPOCH)
def test_everyone_once_in_numpys_permutation(length: int, seed: int, epoch: int) -> None:
    rows = order(EpochSampler(length, seed), epoch)
    assert rows == np.random.default_rng([seed, epoch]).permutation(length).tolist()


@given(groups=GROUPS, seed=SEED, epoch=EPOCH)
def test_every_set_gives_the_same_share(groups: np.ndarray, seed: int, epoch: int) -> None:
    """Within one; and of a set nobody comes again before all have come as often."""
    rows = order(EpochSampler(len(groups), seed, groups), epoch)
    names, shares = np.unique(groups), Counter(groups[rows].tolist())
    assert len(rows) == len(groups) and set(shares) == set(names)
    assert max(shares.values()) - min(shares.values()) <= 1
    shown = Counter(rows)
    for name in names:
        times = [shown[row] for row in np.flatnonzero(groups == name)]
        assert max(times) - min(times) <= 1, (name, times)


def test_a_small_set_is_shown_again_and_again_and_a_large_one_in_part() -> None:
    groups = np.array(["large"] * 90 + ["small"] * 3 + ["mid"] * 7)
    shown = Counter(order(EpochSampler(100, 0, groups), 0))
    assert set(shown.values()) == {1, 4, 5, 11}  # of 100 each set gives 33 or 34
    assert [shown[row] for row in (90, 91, 92)] == [11, 11, 11]
    assert {shown[row] for row in range(93, 100)} == {4, 5} and max(shown[row] for row in range(90)) == 1


def test_over_the_epochs_everyone_of_a_large_set_comes() -> None:
    groups = np.array(["large"] * 40 + ["small"] * 4)
    sampler = EpochSampler(44, 3, groups)
    seen = {row for epoch in range(12) for row in order(sampler, epoch)}
    assert seen == set(range(44))


def test_sets_are_mixed_within_an_epoch() -> None:
    groups = np.array(["a"] * 50 + ["b"] * 50)
    rows = np.array(order(EpochSampler(100, 0, groups), 0))
    first = (groups[rows[:50]] == "a").sum()
    assert 10 < first < 40


@pytest.mark.parametrize("groups", [None, np.array(["a"] * 30 + ["b"] * 10)], ids=["everyone once", "balanced"])
def test_an_order_is_a_function_of_seed_and_epoch_alone(groups: np.ndarray | None) -> None:
    sampler = EpochSampler(40, 5, groups)
    first = {epoch: order(sampler, epoch) for epoch in (0, 1, 7)}
    assert list(sampler) == list(sampler)
    np.random.seed(0)  # noqa: NPY002 - the global state has no say
    for epoch in (7, 0, 1):  # a fresh process, told any epoch first
        assert order(EpochSampler(40, 5, groups), epoch) == first[epoch]
    assert len({tuple(rows) for rows in first.values()}) == 3
    assert order(EpochSampler(40, 6, groups), 0) != first[0]


def test_of_one_set_everyone_comes_once() -> None:
    assert sorted(order(EpochSampler(20, 1, np.array(["a"] * 20)), 4)) == list(range(20))


def test_before_it_is_told_an_epoch_it_is_the_first() -> None:
    fresh = EpochSampler(20, 1)
    assert [key[1] for key in fresh] == order(EpochSampler(20, 1), 0)

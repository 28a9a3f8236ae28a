"""Fitting the factors of a box: as small as claimed, cutting off what is claimed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.boxes import SHARES, BoxRule, NormalisedJoints, fit_factors, normalised_joints
from hmlpe.data.record import Person
from hmlpe.errors import UserError
from hmlpe.report.box_fit import draw_fits, fits_table, write_fits_csv

NAN4 = np.full(4, np.nan)


def person(joints: np.ndarray, detection: np.ndarray = NAN4, window: np.ndarray = NAN4, split: str = "train") -> Person:
    return Person(
        "a.png", "here", split, joints, np.zeros(len(joints), bool), detection, float("nan"), np.zeros((0, 4)), False,  # type: ignore[arg-type]
        window_px=window,
    )  # fmt: skip


def cloud(seed: int, people: int = 200) -> NormalisedJoints:
    rng = np.random.default_rng(seed)
    points = rng.normal([0, 0.5], [1.5, 1.0], (people, 8, 2))
    points[rng.random((people, 8)) < 0.1] = np.nan
    return NormalisedJoints("detection", points)


def test_joints_are_in_half_sides_of_the_detection(boxes: BoxRule) -> None:
    joints = np.array([(20.0, 30), (30, 50), (10, 10), (np.nan, np.nan)])
    found = normalised_joints([person(joints, np.array([10.0, 10, 30, 50])), person(joints, NAN4)], boxes)
    assert found.rule == "detection" and len(found.points) == 1
    np.testing.assert_allclose(found.points[0, :3], [(0, 0), (1, 1), (-1, -1)])
    assert found.is_known.tolist() == [[True, True, True, False]]


def test_test_people_are_never_looked_at(boxes: BoxRule) -> None:
    joints, box = np.zeros((2, 2)), np.array([0.0, 0, 4, 4])
    with pytest.raises(UserError, match="no training person"):
        normalised_joints([person(joints, box, split="test")], boxes)
    one = normalised_joints([person(joints, box), person(joints + 99, box, split="test")], boxes)
    assert len(one.points) == 1


def test_the_window_serves_where_nobody_has_a_detection(boxes: BoxRule) -> None:
    joints = np.array([(2.0, 2)])
    found = normalised_joints([person(joints, window=np.array([0.0, 0, 4, 4]))], boxes)
    assert found.rule == "window" and found.points.tolist() == [[[0, 0]]]


def test_judging_counts_by_hand() -> None:
    points = np.array([[(0, 0), (2, 0), (0, -3)], [(0, 3.5), (np.nan, np.nan), (1, 1)], [(0, 0), (0, 0), (-2.1, 0)]])
    found = NormalisedJoints("detection", points).evaluate((2, 2, 2))
    assert (found.joints_cut, found.joints, found.people_cut, found.people) == (2, 8, 2, 3)
    assert found.area == 2 * (2 + 4) / 2  # 4 x 6 half sides against 2 x 2


@given(seed=st.integers(0, 1000), share=st.sampled_from(SHARES))
def test_a_fit_holds_its_share_and_none_of_its_sides_can_give_way(seed: int, share: float) -> None:
    training = cloud(seed, 40)
    found = fit_factors(training, share)
    assert found == training.evaluate(found.factors)
    wanted = np.ceil(share * found.joints)
    assert found.joints - found.joints_cut >= wanted
    across, up, down = found.factors
    tighter = training.evaluate((across, up, down - 0.02))
    assert tighter.joints - tighter.joints_cut < wanted  # the lower edge is as high as the other two let it be


def test_a_larger_share_needs_no_smaller_box_and_a_crude_search_finds_nothing_smaller() -> None:
    training = cloud(5)
    fits = [fit_factors(training, share) for share in SHARES]
    assert [fit.area for fit in fits] == sorted(fit.area for fit in fits)
    wanted = np.ceil(0.95 * fits[0].joints)
    rng = np.random.default_rng(0)
    tried = [training.evaluate(factors) for factors in rng.uniform(0.5, 4, (4000, 3)).tolist()]
    areas = [one.area for one in tried if one.joints - one.joints_cut >= wanted]
    assert areas and min(areas) > 0.98 * fits[1].area


def test_what_is_shown(tmp_path: Path) -> None:
    training = cloud(1)
    fits = {"configured": training.evaluate((2, 1, 1))}
    fits |= {f"{share * 100:g}% of joints": fit_factors(training, share) for share in SHARES}
    text = fits_table("cloud", training, fits)
    assert (
        len(text.splitlines()) == 2 + len(fits)
        and "configured" in text
        and len(set(map(len, text.splitlines()[1:]))) == 1
    )
    write_fits_csv(tmp_path / "cloud.csv", fits)
    assert (tmp_path / "cloud.csv").read_text().splitlines()[1].startswith("configured,2.0,1.0,1.0,")
    draw_fits(tmp_path / "cloud.png", "cloud", training, fits)
    first = (tmp_path / "cloud.png").read_bytes()
    draw_fits(tmp_path / "cloud.png", "cloud", training, {**fits, "configured": replace(fits["configured"])})
    assert (tmp_path / "cloud.png").read_bytes() == first

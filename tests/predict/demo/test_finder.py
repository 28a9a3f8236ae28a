"""Who is in the photo, by the page's settings."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.errors import UserError
from hmlpe.geometry import scale_box
from hmlpe.predict.demo.finder import DETECTED, GIVEN, WHOLE, Finder, parse_box

from .fakes import FACTORS, FakeDetector, FakeEstimator

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
WINDOWS = [(10, 10, 50, 46), (60, 20, 100, 56), (110, 5, 150, 41)]


def finder(*windows: tuple[float, ...]) -> Finder:
    return Finder(FakeDetector(*windows), FakeEstimator())


def test_the_surest_are_kept_and_the_rest_is_counted() -> None:
    answer = finder(*WINDOWS)("a.jpg", IMAGE, DETECTED, max_people=2)
    assert [person.window_px.tolist() for person in answer.people] == [list(map(float, one)) for one in WINDOWS[:2]]
    assert answer.summary() == "a.jpg: 2 people found (1 more left out: see the settings)"


def test_nobody_is_an_answer() -> None:
    answer = finder()("a.jpg", IMAGE)
    assert list(answer.people) == []
    assert answer.summary() == "a.jpg: no person found"


def test_the_whole_photo_is_what_the_network_sees() -> None:
    (person,) = finder(*WINDOWS)("a.jpg", IMAGE, WHOLE).people
    assert np.allclose(person.box_px, [-0.5, -0.5, 159.5, 89.5])
    assert np.allclose(scale_box(person.window_px, FACTORS), person.box_px)


def test_a_given_box_is_the_window() -> None:
    answer = finder(*WINDOWS)("a.jpg", IMAGE, GIVEN, " 10, 20 30.5 40 ")
    (person,) = answer.people
    assert person.window_px.tolist() == [10, 20, 30.5, 40]
    assert answer.summary() == "a.jpg: 1 person found"


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ("", "four numbers"),
        ("1 2 3", "four numbers"),
        ("1 2 3 x", "'1 2 3 x'"),
        ("1 2 3 4 5", "four numbers"),
        ("10 10 5 20", "no area"),
        ("nan 1 2 3", "no area"),
        ("1 1 inf 3", "no area"),
        ("200 10 210 20", "160 x 90 pixels"),
        ("0 0 1e9 20", "160 x 90 pixels"),
    ],
)
def test_a_box_that_is_none_is_refused(box: str, says: str) -> None:
    with pytest.raises(UserError, match=f"^box: .*{re.escape(says)}"):
        finder()("a.jpg", IMAGE, GIVEN, box)


numbers = st.floats(-1e5, 1e5).map(str) | st.sampled_from(["nan", "inf", "-0", "1_0", "1e400"])


@given(st.lists(numbers, min_size=4, max_size=4).map(" ".join) | st.text(max_size=30))
def test_whatever_is_typed_is_a_box_or_refused(text: str) -> None:
    try:
        window = parse_box(text, 90, 160)
    except UserError as error:
        text = str(error)
    else:
        assert np.isfinite(window).all() and (window[2:] > window[:2]).all()
        assert (window[:2] < [160, 90]).all() and (window[2:] > 0).all()
        return
    assert text.startswith("box: ") and len(text.splitlines()) == 1

"""What is drawn is where it should be, in its colours, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hmlpe.errors import UserError
from hmlpe.palette import hex_to_rgb, joint_style, part_colour
from hmlpe.predict.draw import TILE, draw_maps, draw_people
from hmlpe.predict.people import FoundPerson

from .fakes import SKELETON, Fixed

CARD = Fixed().card
NAN = float("nan")


def person(joints: object = None, confidence: object = (1.0, 1.0, 1.0), size: float = 400.0) -> FoundPerson:
    """Somebody in a box of this size."""
    points = np.array([[0.5, 0.2], [0.8, 0.6], [0.2, 0.6]]) * size if joints is None else np.asarray(joints, float)
    maps = np.array([[0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]])
    window = np.array([0.4, 0.1, 0.6, 0.35]) * size
    return FoundPerson(window, 1.0, np.array([0.0, 0, size, size]), points, np.asarray(confidence, float), maps)


def grey(size: int = 400) -> np.ndarray:
    return np.full((size, size, 3), 128, np.uint8)


def test_sticks_and_joints_have_their_colours() -> None:
    one = person()
    image = grey()
    drawn = draw_people(image, [one], SKELETON, with_legend=False)
    assert (image == 128).all() and drawn.shape == image.shape
    for part, ends in enumerate(SKELETON.part_ends):
        x, y = one.joints_px[list(ends)].mean(axis=0).round().astype(int)
        assert tuple(drawn[y, x]) == hex_to_rgb(part_colour(part))
    for joint, (x, y) in enumerate(one.joints_px.round().astype(int)):
        assert tuple(drawn[y, x]) == hex_to_rgb(joint_style(SKELETON, joint).colour)


def test_the_surest_is_on_top() -> None:
    one, other = person(), person([[200, 80], [80, 240], [320, 240]])  # left and right exchanged
    drawn = draw_people(grey(), [one, other], SKELETON)
    x, y = one.joints_px[1].astype(int)
    assert tuple(drawn[y, x]) == hex_to_rgb(joint_style(SKELETON, 1).colour)


def coloured(confidence: object) -> list[int]:
    """How many pixels have the colour of each hand and of each stick."""
    drawn = draw_people(grey(), [person(confidence=confidence)], SKELETON, with_legend=False)
    colours = [joint_style(SKELETON, joint).colour for joint in (1, 2)] + [part_colour(part) for part in (0, 1)]
    return [int((drawn == hex_to_rgb(colour)).all(axis=2).sum()) for colour in colours]


def test_confidence_is_seen() -> None:
    """A disc fills with it, a stick with an unsure end is dashed; where it is not known all is drawn in full."""
    unsure, sure, unknown = coloured([1, 0.1, 0.1]), coloured([1, 1, 1]), coloured([NAN] * 3)
    half = coloured([1, 0.6, 0.6])
    assert all(few < 0.6 * many for few, many in zip(unsure, sure, strict=True))
    assert unknown == sure
    assert unsure[0] < half[0] < sure[0]
    assert half[2] > 0.9 * sure[2]


@pytest.mark.parametrize("size", [40, 400, 1600])
def test_lines_grow_with_the_person(size: int) -> None:
    drawn = draw_people(np.full((size, size, 3), 128, np.uint8), [person(size=size)], SKELETON, with_legend=False)
    stick = (drawn == hex_to_rgb(part_colour(0))).all(axis=2).any(axis=0)
    thick = (drawn == hex_to_rgb(part_colour(0))).all(axis=2)[:, stick].sum(axis=0)
    assert 0.3 * max(1.5, size / 100) <= np.median(thick) <= 3 * max(1.5, size / 100)


ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(
    joints=arrays(np.float64, (3, 2), elements=ANY),
    confidence=arrays(np.float64, 3, elements=ANY),
    window=arrays(np.float64, 4, elements=ANY),
    size=st.sampled_from([(1, 1), (3, 200), (200, 3), (60, 80)]),
)
def test_any_numbers_can_be_drawn(
    joints: np.ndarray, confidence: np.ndarray, window: np.ndarray, size: tuple[int, int]
) -> None:
    one = FoundPerson(window, 1.0, window, joints, confidence, None)
    drawn = draw_people(np.zeros((*size, 3), np.uint8), [one], SKELETON)
    assert drawn.shape == (*size, 3)


def test_nobody_leaves_the_image_as_it_is() -> None:
    assert (draw_people(grey(), [], SKELETON) == 128).all()


def test_the_legend_only_where_there_is_room() -> None:
    assert (draw_people(grey(), [person()], SKELETON)[-3:, :3] > 200).all()
    small = draw_people(grey(60), [person(size=60)], SKELETON)
    assert np.array_equal(small, draw_people(grey(60), [person(size=60)], SKELETON, with_legend=False))


def test_maps_glow_where_the_probability_is() -> None:
    drawn = draw_maps(grey(), person(), CARD)
    head = 22
    first, second = drawn[head : head + TILE, :TILE].mean(axis=2), drawn[head : head + TILE, TILE : 2 * TILE]
    quarter = TILE // 4
    assert first[10, 3 * quarter] > 150  # window (1, 0): upper right; away from the stick
    assert first[10, quarter - 30] < 90 and first[TILE - 10, quarter] < 90 and first[TILE - 10, TILE - 10] < 90
    assert second.mean(axis=2)[[10, 10, -10, -10], [10, -10, 10, -10]].std() < 1  # a half everywhere
    assert drawn.shape[1] == 3 * TILE  # two parts and the pose


def test_no_maps_without_detectors() -> None:
    one = Fixed(maps=False)
    nobody = FoundPerson(np.zeros(4), 1.0, np.array([0.0, 0, 9, 9]), np.zeros((3, 2)), np.full(3, NAN), None)
    with pytest.raises(UserError, match="no part detectors"):
        draw_maps(grey(), nobody, one.card)

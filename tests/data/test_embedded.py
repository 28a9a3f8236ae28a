"""The embedded data: the same settings give the same picture, and the labels lie where the picture shows the joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hmlpe.data.record import Person
from hmlpe.data.sources.embedded import EmbeddedSource, Style
from hmlpe.data.sources.embedded.figure import Wardrobe
from hmlpe.data.sources.embedded.pose import ARMS, JOINTS
from hmlpe.errors import UserError

# Bare arms would be too easy for a net; bare pictures are what a test needs to read joints off pixels.
BARE = Style(
    glove_p=0.0, textured_p=0.0, stray_limbs_n=0.0, bystander_p=0.0, reaching_arm_p=0.0, occluder_p=0.0,
    under_p=0.0, shading=0.0, outline=0.0, cast_shadow=0.0, limb_tint=0.0, gradient=0.0,
    shadow_p=0.0, gain_spread=0.0, noise=0.0, blur_px=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def source() -> EmbeddedSource:
    return EmbeddedSource(train=40, test=15)


def test_same_settings_same_picture_in_any_order(source: EmbeddedSource) -> None:
    names = ["train/000000", "train/000007", "test/000007"]
    first = [source.image(name) for name in names]
    again = [EmbeddedSource(train=9, test=8).image(name) for name in reversed(names)][::-1]
    for a, b in zip(first, again, strict=True):
        assert a.shape == (160, 160, 3) and a.dtype == np.uint8
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[1], first[2])  # the same index in the other split is another picture
    people = EmbeddedSource(train=9, test=8).people()
    np.testing.assert_array_equal(people[7].joints_px, source.people()[7].joints_px)
    np.testing.assert_array_equal(people[9 + 7].joints_px, source.people()[40 + 7].joints_px)


def test_another_seed_is_another_set(source: EmbeddedSource) -> None:
    other = EmbeddedSource(train=1, test=0, seed=1)
    assert not np.array_equal(other.image("train/000000"), source.image("train/000000"))
    assert not np.allclose(other.people()[0].joints_px, source.people()[0].joints_px)
    prints = [source, other, EmbeddedSource(40, 16), EmbeddedSource(40, 15, style=BARE)]
    assert len({each.fingerprint() for each in prints}) == len(prints)
    assert EmbeddedSource(40, 15).fingerprint() == source.fingerprint()


def test_people(source: EmbeddedSource) -> None:
    people = source.people()
    assert [person.split for person in people] == ["train"] * 40 + ["test"] * 15
    assert len({person.image for person in people}) == 55 and people[17].image == "train/000017"
    assert source.missing_images() == []
    for person in people:
        assert person.joints_px.shape == (8, 2) and np.isfinite(person.joints_px).all()
        assert person.occluded.shape == (8,) and person.occluded.dtype == bool
        assert person.sticks_px.shape == (0, 4) and not person.faces_backwards
        assert 30 < person.torso_px < 70
    joints = np.stack([person.joints_px for person in people])
    boxes = np.stack([person.detection_px for person in people])[:, None]
    inside = ((joints > boxes[..., :2]) & (joints < boxes[..., 2:])).all(-1)
    assert inside[:, :6].all() and inside.mean() > 0.97
    occluded = np.stack([person.occluded for person in people])
    assert 0 < occluded.mean() < 0.2


def test_left_is_on_the_images_right() -> None:
    people = EmbeddedSource(train=300, test=0).people()  # enough for a share: 9.5 % of the 2500 default people cross
    joints = {name: np.stack([p.joints_px for p in people])[:, k, 0] for k, name in enumerate(JOINTS)}
    assert (joints["left_shoulder"] > joints["right_shoulder"]).all()
    assert (joints["left_elbow"] > joints["right_elbow"]).mean() > 0.95
    crossed = (joints["left_wrist"] <= joints["right_wrist"]).mean()
    assert 0 < crossed < 0.2  # some arms cross, else left and right could be told by place alone
    np.testing.assert_allclose(joints["neck"], (joints["left_shoulder"] + joints["right_shoulder"]) / 2)


Shown = list[tuple[Person, Wardrobe, np.ndarray]]


def _cuffs(shown: Shown, shift: tuple[int, int] = (0, 0), order: Sequence[int] = range(8)) -> float:
    """Share of the seen wrists with skin beyond the joint and sleeve before it, along the moved or swapped forearm."""
    good = []
    for person, wardrobe, picture in shown:
        joints = person.joints_px[list(order)] + shift
        skin, cloth = np.array(wardrobe.skin.base), np.array(wardrobe.cloth.base)
        if np.linalg.norm(skin - cloth) < 90:
            continue
        for _, elbow, wrist in ARMS:
            along = joints[wrist] - joints[elbow]
            if person.occluded[wrist] or np.linalg.norm(along) < 12:
                continue
            along /= np.linalg.norm(along)
            hand, sleeve = joints[wrist] + 3 * along, joints[wrist] - 4 * along
            seen = [picture[tuple(np.clip(np.rint(at), 0, 159).astype(int)[::-1])] for at in (hand, sleeve)]
            good.append(
                np.linalg.norm(seen[0] - skin) < 0.5 * np.linalg.norm(seen[0] - cloth)
                and np.linalg.norm(seen[1] - cloth) < 0.5 * np.linalg.norm(seen[1] - skin)
            )
    assert len(good) > 30
    return float(np.mean(good))


def test_the_wrist_is_where_the_sleeve_ends() -> None:
    source = EmbeddedSource(train=36, test=0, style=BARE)
    names = [(person, person.image) for person in source.people()]
    shown = [(person, source.plan_of_image(name).wardrobe, source.image(name).astype(float)) for person, name in names]
    scores = [_cuffs(shown, shift) for shift in ((5, 0), (-5, 0), (0, 5), (0, -5))]
    scores.append(_cuffs(shown, order=[0, 1, 2, 3, 4, 5, 7, 6]))
    assert _cuffs(shown) > 0.85
    assert max(scores) < 0.6, scores


def test_elbow_and_shoulder_are_the_ends_of_the_upper_arm(source: EmbeddedSource) -> None:
    """Both limbs of an arm round off about its elbow: 3 px off it is on it, 12 px off is not all on it."""
    ring = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
    for person in source.people()[:20]:
        layers = source.plan_of_image(person.image).layers
        for shoulder, elbow, wrist in ARMS:
            upper = next(layer for layer in layers if layer.own_joints == (shoulder, elbow))
            lower = next(layer for layer in layers if layer.own_joints == (elbow, wrist))
            at, start = person.joints_px[elbow], person.joints_px[shoulder]
            assert all(part.covers(at + 3 * ring).all() for part in (upper, lower))
            assert upper.covers(start + 3 * ring).all()
            assert not any(part.covers(at + 12 * ring).all() for part in (upper, lower))


def test_pictures_are_no_blanks(source: EmbeddedSource) -> None:
    pictures = np.stack([source.image(person.image) for person in source.people()[:6]])
    assert (pictures.std((1, 2)) > 5).all()
    assert EmbeddedSource(train=1, image_px=64).image("train/000000").shape == (64, 64, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"train": -1}, {"test": -1}, {"train": 1.5}, {"test": "5"}, {"seed": -1}, {"seed": None}, {"train": True},
        {"image_px": 63}, {"image_px": 128.0}, {"train": 0, "test": 0},
    ],
)  # fmt: skip
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError) as raised:
        EmbeddedSource(**settings)
    assert "\n" not in str(raised.value) and next(iter(settings)) in str(raised.value)


@pytest.mark.parametrize("style", [{"under_p": 1.1}, {"noise": float("nan")}, {"modes": (1.0,)}, {"modes": (0.0,) * 8}])
def test_bad_style(style: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"style.{next(iter(style))}"):
        Style(**style)


@pytest.mark.parametrize("name", ["train/000040", "train/17", "test/-00001", "val/000000", "", "train/train/000001"])
def test_no_such_image(source: EmbeddedSource, name: str) -> None:
    with pytest.raises(UserError, match="there is no image"):
        source.image(name)

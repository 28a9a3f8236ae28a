"""Box rules: the paper's boxes by hand, who has none, and which boxes are errors of the annotation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.boxes import LARGEST_PX, RULES, BoxRule
from hmlpe.data.record import Person
from hmlpe.errors import UserError

CONF = Path(__file__).parents[2] / "conf"
SETS = sorted(path.stem for path in (CONF / "set").glob("*.yaml"))
NAN, INF = float("nan"), float("inf")
DETECTION, WINDOW = (10.0, 20, 30, 60), (100.0, 200, 140, 240)  # half sizes 10 x 20 and 20 x 20
JOINTS = [(12.0, 25), (28, 25), (NAN, NAN), (20, 45)]  # 16 wide, 20 high


def one(split: str = "train", **changes: Any) -> Person:
    """Someone with a detection, a window and three known joints."""
    joints = np.array(changes.pop("joints_px", JOINTS), dtype=float)
    person = Person(
        image="a.png", where="here/people.txt, record 7", split="train", joints_px=joints,
        occluded=np.zeros(len(joints), dtype=bool), detection_px=np.array(DETECTION), torso_px=NAN,
        sticks_px=np.zeros((0, 4)), faces_backwards=False, window_px=np.array(WINDOW),
    )  # fmt: skip
    return replace(person, split=split, **changes)


def rule(train: str, test: str = "detection", **changes: Any) -> BoxRule:
    return BoxRule(**{"train": train, "test": test, "factors": (1.0, 0.0, 0.0), "margin": 0.1, **changes})


def configured(name: str) -> BoxRule:
    """The rule of a set's configuration file."""
    boxes = yaml.safe_load((CONF / "set" / f"{name}.yaml").read_text(encoding="utf-8"))["boxes"]
    return BoxRule(**{key: value for key, value in boxes.items() if not key.startswith("_")})


EXPECTED = {"detection": DETECTION, "window": WINDOW, "truth": (10, 23, 30, 47)}  # a tenth of 20 px around the joints


@pytest.mark.parametrize("train", RULES)
@pytest.mark.parametrize("test", RULES)
def test_each_split_has_its_own_rule(train: str, test: str) -> None:
    boxes = rule(train, test)
    np.testing.assert_allclose(boxes.box_px(one("train")), EXPECTED[train])
    np.testing.assert_allclose(boxes.box_px(one("test")), EXPECTED[test])
    assert (boxes.rule_of("train"), boxes.rule_of("test")) == (train, test)


@pytest.mark.parametrize(("name", "given"), [("detection", DETECTION), ("window", WINDOW)])
def test_the_given_box_is_scaled(name: str, given: tuple[float, ...]) -> None:
    x0, y0, x1, y1 = given
    cx, hw, hh = (x0 + x1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
    box = rule(name, factors=(1.5, 0.5, 2.0)).box_px(one())
    np.testing.assert_allclose(box, [cx - 1.5 * hw, y0 - 0.5 * hh, cx + 1.5 * hw, y1 + 2 * hh])


def test_aspect_is_measured_from_the_scaled_boxs_top() -> None:
    scaled = rule("detection", factors=(2.0, 0.5, 3.0), aspect=1.5).box_px(one())
    np.testing.assert_allclose(scaled, [0, 10, 40, 10 + 1.5 * 40])
    wide = rule("detection", aspect=0.25).box_px(one())
    np.testing.assert_allclose(wide, [10, 20, 30, 25])


def test_aspect_does_not_touch_the_truth() -> None:
    np.testing.assert_allclose(rule("truth", "detection", aspect=3).box_px(one()), EXPECTED["truth"])


def test_a_training_box_grows_over_the_joints_only_where_it_must() -> None:
    """Joints at x 12 to 60: the box keeps its left, top and lower edge; a tenth of 48 px is the margin."""
    joints = [(12.0, 25), (60, 25), (NAN, NAN), (20, 45)]
    person, boxes = one(joints_px=joints), rule("detection", "detection", cover=True)
    np.testing.assert_allclose(boxes.box_px(person), [12 - 4.8, 20, 64.8, 60])
    np.testing.assert_allclose(boxes.box_px(replace(person, split="test")), DETECTION)  # no oracle in testing
    np.testing.assert_allclose(boxes.box_px(one()), DETECTION)  # all inside already
    np.testing.assert_allclose(rule("detection").box_px(person), DETECTION)  # not asked for


def test_to_cover_no_joints_changes_nothing() -> None:
    person = one(joints_px=np.full((4, 2), NAN))
    np.testing.assert_allclose(rule("window", cover=True).box_px(person), WINDOW)


@pytest.mark.parametrize("cover", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("detection", {"detection_px": np.full(4, NAN)}),
        ("detection", {"detection_px": np.array([10, 20, NAN, 60])}),
        ("window", {"window_px": np.full(4, NAN)}),
        ("truth", {"joints_px": np.full((4, 2), NAN)}),
    ],
)
def test_nothing_to_make_the_box_from(name: str, unknown: dict[str, Any], split: str, cover: bool) -> None:
    """The other ways would have worked; none of them is taken in its place."""
    aspect = None if name == "truth" else 1.5
    assert rule(name, name, cover=cover, aspect=aspect).box_px(one(split, **unknown)) is None


OUTSIDE = {
    "no width": (30.0, 20, 30, 60), "no height": (10.0, 20, 30, 20), "turned over": (30.0, 60, 10, 20),
    "mirrored": (30.0, 20, 10, 60), "half a pixel": (10.0, 20, 10.5, 60), "infinite": (10.0, 20, INF, 60),
    "boundless": (-INF, 20, INF, 60), "too wide": (0.0, 20, LARGEST_PX + 1, 60),
    "too high": (10.0, 0, 30, LARGEST_PX + 1),
}  # fmt: skip


@pytest.mark.parametrize("box", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["detection", "window"])
def test_an_impossible_box_is_an_error_that_names_the_record(box: tuple[float, ...], split: str, name: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(UserError, match="record 7: the person's box") as raised:
        rule(name, name).box_px(one(split, **{f"{name}_px": np.array(box)}))
    assert "\n" not in str(raised.value) and f"({name})" in str(raised.value)


def test_the_largest_and_the_smallest_box_are_allowed() -> None:
    for box in ((0.0, 0, LARGEST_PX, LARGEST_PX), (10.0, 20, 11, 21)):
        np.testing.assert_array_equal(rule("detection").box_px(one(detection_px=np.array(box))), box)


def test_joints_in_one_point_have_no_box() -> None:
    for joints in (np.full((4, 2), 5.0), np.array([(5.0, 5), (np.nan, np.nan)])):
        assert rule("truth").box_px(one(joints_px=joints)) is None


def test_joints_far_out_make_too_large_a_training_box() -> None:
    far = one(joints_px=[(0.0, 0), (LARGEST_PX, 0)])
    with pytest.raises(UserError, match="too large"):
        rule("detection", cover=True).box_px(far)


POINTS = st.lists(st.tuples(st.floats(-300, 900), st.floats(-300, 900)), min_size=1, max_size=8).map(np.array)
SPAN = st.tuples(st.floats(-99, 99), st.floats(-99, 99), st.floats(1, 99), st.floats(1, 99))


@given(points=POINTS, span=SPAN, margin=st.floats(0, 0.5))
def test_a_covering_box_holds_the_joints_and_the_scaled_box(
    points: np.ndarray, span: tuple[float, ...], margin: float
) -> None:
    x, y, width, height = span
    person = one(joints_px=points, detection_px=np.array([x, y, x + width, y + height]))
    boxes = [rule("detection", factors=(2.0, 0.0, 1.0), margin=margin, cover=cover) for cover in (False, True)]
    scaled, grown = (one.box_px(person) for one in boxes)
    assert scaled is not None and grown is not None
    pad = margin * np.ptp(points, axis=0).max()
    low, high = points.min(axis=0) - pad, points.max(axis=0) + pad
    np.testing.assert_allclose(grown, [*np.minimum(scaled[:2], low), *np.maximum(scaled[2:], high)], atol=1e-9)


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"train": "torso"}, r"data\.boxes\.train"), ({"test": "Truth"}, r"data\.boxes\.test"),
        ({"train": ""}, r"data\.boxes\.train"), ({"factors": (1.0, 2.0)}, r"data\.boxes\.factors"),
        ({"factors": (1, 2, 3, 4)}, r"data\.boxes\.factors"), ({"aspect": 0}, r"data\.boxes\.aspect"),
        ({"aspect": -1.5}, r"data\.boxes\.aspect"),
        ({"train": "truth", "test": "truth", "aspect": 1.5}, r"data\.boxes\.aspect: is for scaled boxes"),
    ],
)  # fmt: skip
def test_a_rule_of_no_use_is_refused(bad: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word) as raised:
        rule(**{"train": "detection", **bad})
    assert "\n" not in str(raised.value)


def test_as_dict_is_plain_and_says_everything() -> None:
    plain = rule(
        "window", "truth", factors=[2, 0, 1], margin=0, aspect=1, cover=True, window_factors=[3, 0, 0]
    ).as_dict()
    assert json.loads(json.dumps(plain)) == plain == {
        "train": "window", "test": "truth", "factors": [2.0, 0.0, 1.0], "margin": 0.0, "aspect": 1.0, "cover": True,
        "window_factors": [3.0, 0.0, 0.0],
    }  # fmt: skip
    assert rule("truth").as_dict()["aspect"] is None
    assert BoxRule(**plain).as_dict() == plain


# ---- what is configured: FACTS 5 ----


def test_flic() -> None:
    """cx ± 3.5 hw, y extended by 1.75 hh above and below."""
    np.testing.assert_allclose(configured("flic").box_px(one("test")), [20 - 35, 20 - 35, 20 + 35, 60 + 35])


def test_a_window_may_be_scaled_by_factors_of_its_own() -> None:
    """(across, up, down) of the window 20 wide and 40 high; a detection keeps its own factors."""
    both = {"factors": (1.0, 0.0, 0.0), "window_factors": (2.0, 0.5, 1.0)}
    window = rule("window", "window", **both).box_px(one("test"))
    centre, top, bottom = (WINDOW[0] + WINDOW[2]) / 2, WINDOW[1], WINDOW[3]
    half = np.array([WINDOW[2] - WINDOW[0], bottom - top]) / 2
    wanted = [centre - 2 * half[0], top - 0.5 * half[1], centre + 2 * half[0], bottom + half[1]]
    np.testing.assert_allclose(window, wanted)
    detection = rule("detection", "detection", **both).box_px(one("test"))
    np.testing.assert_allclose(detection, rule("detection", "detection").box_px(one("test")))
    np.testing.assert_allclose(rule("window", "window").box_px(one("test")), WINDOW)


def test_buffy() -> None:
    """cx ± 1.7 hw, from the detection's top down to top + 4.2 hh; training boxes are of the window."""
    buffy = configured("buffy")
    np.testing.assert_allclose(buffy.box_px(one("test")), [20 - 17, 20, 20 + 17, 20 + 4.2 * 20])
    inside = np.array(WINDOW).reshape(2, 2).mean(axis=0)
    box = buffy.box_px(one("train", joints_px=inside[None]))
    np.testing.assert_allclose(box, [120 - 34, 200, 120 + 34, 200 + 4.2 * 20])


def test_lsp() -> None:
    """Full width, height = 1.5 width from the image's top; here of an image of 80 x 100 pixels."""
    whole = np.array([-0.5, -0.5, 79.5, 99.5])
    for name in ("lsp", "lsp_extended"):
        np.testing.assert_allclose(configured(name).box_px(one("test", detection_px=whole)), [-0.5, -0.5, 79.5, 119.5])


@pytest.mark.parametrize("name", [name for name in SETS if name != "embedded"])
def test_training_boxes_hold_all_annotated_parts(name: str) -> None:
    """Paper section 4; the joints here lie far outside detection and window."""
    joints = np.array([(-70.0, 5), (400, 90), (NAN, NAN), (50, 333)])
    box = configured(name).box_px(one("train", joints_px=joints))
    assert box is not None
    assert (box[:2] <= np.nanmin(joints, axis=0)).all() and (box[2:] >= np.nanmax(joints, axis=0)).all()


def test_only_sets_without_detections_are_tested_on_oracle_boxes() -> None:
    oracles = [name for name in SETS if configured(name).test != "detection"]
    assert oracles == ["coco", "csv", "ethz", "sa", "waf"]


@pytest.mark.parametrize("box", [(30.0, 60, 10, 20), (10.0, 20, 10, 60)], ids=["turned over", "no width"])
def test_to_cover_the_joints_does_not_hide_an_impossible_box(box: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="record 7"):
        rule("detection", cover=True).box_px(one(detection_px=np.array(box)))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("factors", value) for value in ((1, 0), (1, "x", 0), (NAN, 0, 0), (INF, 0, 0), (True, 0, 0), "abc", 3)),
        *(("margin", value) for value in ("abc", None, -0.1, NAN, INF)),
        *(("aspect", value) for value in (0, -1, "x", NAN)),
        *(("cover", value) for value in ("yes", 2, None)),
    ],
)
def test_settings_of_no_use_are_named(setting: str, value: object) -> None:
    """As a configuration gives them: without the type checks of this test run."""
    settings = {"train": "truth", "test": "truth", "factors": (1, 0, 0), "margin": 0, "aspect": None, "cover": False}
    boxes = object.__new__(BoxRule)
    for key, good in settings.items():
        object.__setattr__(boxes, key, value if key == setting else good)
    with pytest.raises(UserError, match=f"^data.boxes.{setting}: must be "):
        boxes.__post_init__()

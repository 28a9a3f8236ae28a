"""What each protocol counts, on people made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from hmlpe.errors import UserError
from hmlpe.evaluate.bootstrap import Bootstrap
from hmlpe.evaluate.cases import Case
from hmlpe.evaluate.confidence import measure_configured_groups, selective_accuracy_by_group
from hmlpe.evaluate.people import STICKS, Estimates, Truth, estimates_from_joints, part_ends_px
from hmlpe.evaluate.protocols import PcpOfficial, PcpStrict, PdjModec, Protocol, Scores
from hmlpe.evaluate.record import Record
from hmlpe.evaluate.run import score_case
from hmlpe.evaluate.settings import ConfidenceSettings, EvaluateSettings
from hmlpe.skeleton import Skeleton

from .conftest import CONF, truth_like

FEW = Bootstrap(draws=20)
ELBOW, WRIST = 4, 6  # left
NAN = np.nan


def protocols() -> dict[str, Protocol]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", ["checkpoint=x"])
    return {name: instantiate(one) for name, one in config.protocol.items()}


def scored(protocol: Protocol, truth: Truth, estimates: Estimates, whole: bool = True) -> Scores:
    assert protocol.why_not(truth, estimates) == ""
    counted = np.ones(len(truth), dtype=bool) if whole else estimates.detected
    return protocol.scores(truth, estimates, counted, FEW)[0]


def moved(truth: Truth, person: int, joint: int, by_px: float) -> Estimates:
    joints = truth.joints_px.copy()
    joints[person, joint, 0] += by_px
    return estimates_from_joints(truth, joints)


def test_the_configured_protocols_are_the_fields_three() -> None:
    assert {name: type(one) for name, one in protocols().items()} == {
        "pdj_modec": PdjModec, "pcp_strict": PcpStrict, "pcp_official": PcpOfficial,
    }  # fmt: skip
    assert all(name == one.name for name, one in protocols().items())


@pytest.mark.parametrize("sticks", [False, True])
def test_the_truth_itself_is_perfect(sticks: bool) -> None:
    truth = truth_like(7, sticks)
    exact = Estimates(truth.joints_px, truth.sticks_px, np.ones(7, dtype=bool))
    for protocol in protocols().values():
        found = scored(protocol, truth, exact)
        assert found and all(score == (1, 1, 1) for score in found.values()), found


def test_pdj_at_its_thresholds() -> None:
    """One of eight elbows is 7 px off, one of eight wrists 15: 0.07 and 0.15 of the torso."""
    truth = truth_like(4)
    joints = moved(truth, 0, ELBOW, 7).joints_px
    assert joints is not None
    joints[2, WRIST, 1] -= 15
    found = scored(protocols()["pdj_modec"], truth, estimates_from_joints(truth, joints))
    assert {name: score.value for name, score in found.items() if "elbow@" in name and "left" not in name} == {
        "pdj_modec_elbow@0.05": 7 / 8, "pdj_modec_elbow@0.10": 1, "pdj_modec_elbow@0.20": 1,
        "pdj_modec_right_elbow@0.20": 1,
    }  # fmt: skip
    assert found["pdj_modec_wrist@0.10"].value == 7 / 8 and found["pdj_modec_wrist@0.20"].value == 1
    assert found["pdj_modec_wrist_auc"].value == pytest.approx((14 * 7 / 8 + 6) / 20)


def test_the_curve_is_that_of_the_scores() -> None:
    truth = truth_like(4)
    upper_arm = truth.joints_px[0, ELBOW] - truth.joints_px[0, 1]
    estimates = moved(truth, 0, ELBOW, 0.3 * float(np.hypot(*upper_arm)))
    scores, curves, _ = protocols()["pdj_modec"].scores(truth, estimates, np.ones(4, dtype=bool), FEW)
    assert set(curves) == {"elbow", "wrist"} and len(curves["elbow"]) == 20
    assert curves["elbow"][0.05] == scores["pdj_modec_elbow@0.05"]
    scores, curves, _ = protocols()["pcp_strict"].scores(truth, estimates, np.ones(4, dtype=bool), FEW)
    assert set(curves) == {"upper_arm", "lower_arm"}
    assert curves["upper_arm"][0.5] == scores["pcp_strict_upper_arm"]
    assert [curves["upper_arm"][at].value for at in (0.25, 0.35, 0.5)] == [7 / 8, 1, 1]


def test_a_missed_person_is_wrong_in_whole_and_absent_in_detected() -> None:
    truth = truth_like(4)
    joints = truth.joints_px.copy()
    joints[1] = NAN
    estimates = estimates_from_joints(truth, joints)
    assert estimates.detected.tolist() == [True, False, True, True]
    for name, key in (("pdj_modec", "pdj_modec_wrist@0.20"), ("pcp_strict", "pcp_strict_lower_arm")):
        assert scored(protocols()[name], truth, estimates)[key].value == 0.75
        assert scored(protocols()[name], truth, estimates, whole=False)[key].value == 1


def test_the_official_tool_multiplies_by_the_detection_rate() -> None:
    """Three of four people are detected, and one of their six upper arms is wrong."""
    truth = truth_like(4)
    joints = truth.joints_px.copy()
    joints[0, ELBOW] += 1000
    joints[3] = NAN
    found = scored(protocols()["pcp_official"], truth, estimates_from_joints(truth, joints))
    assert found["pcp_official_detection_rate"].value == 0.75
    assert found["pcp_official_upper_arm"].value == pytest.approx(5 / 6)
    assert found["pcp_official_total_upper_arm"].value == pytest.approx(5 / 6 * 0.75)
    assert found["pcp_official_left_upper_arm"].value == pytest.approx(2 / 3)
    assert found["pcp_official_right_upper_arm"].value == 1


def test_given_boxes_have_no_detection_rate() -> None:
    truth = truth_like(3)
    given = replace(estimates_from_joints(truth, truth.joints_px), by_detector=False)
    found = scored(protocols()["pcp_official"], truth, given)
    assert found["pcp_official_upper_arm"].value == 1
    assert not [key for key in found if "rate" in key or "total" in key]


def test_a_misspelt_item_is_named_and_another_skeletons_too() -> None:
    truth = truth_like(3)
    strict = PcpStrict({"lower_arm": ["left_lwer_arm"], "six_parts": ["torso", "head"]})
    assert strict.groups_without_score(truth) == {"lower_arm": "no stick 'left_lwer_arm' in the data"}
    pdj = PdjModec({"wrist": ["left_wrist"], "tail": ["tail"]}, [0.2], 0.2)
    assert pdj.groups_without_score(truth) == {"tail": "no joint 'tail' in the data"}


def test_thresholds_of_no_use_are_refused() -> None:
    for bad in (0, -1, True, NAN):
        with pytest.raises(UserError, match=r"protocol\.pcp_strict\.threshold"):
            PcpStrict({}, bad)
    for at, each in (([0.3], 0.2), ([0.2], 0.25), ([0.125], 0.2)):
        with pytest.raises(UserError, match="thresholds must be"):
            PdjModec({}, at, each)


def test_what_nobody_predicts_has_no_number() -> None:
    """Sticks between a net's joints are the arms: no torso, no head, so no number over six parts."""
    truth = truth_like(5, sticks=True)
    estimates = estimates_from_joints(truth, truth.joints_px)
    for name in ("pcp_strict", "pcp_official"):
        found = scored(protocols()[name], truth, estimates)
        assert f"{name}_upper_arm" in found and f"{name}_left_lower_arm" in found
        assert not [key for key in found if "torso" in key or "head" in key or "six" in key]
    six = Estimates(None, truth.sticks_px, np.ones(5, dtype=bool))
    assert scored(protocols()["pcp_strict"], truth, six)["pcp_strict_six_parts"].value == 1


def test_the_sets_left_is_the_persons_right() -> None:
    truth = truth_like(2, sticks=True)
    sticks = estimates_from_joints(truth, truth.joints_px).sticks_px
    shoulder, elbow = truth.skeleton.indices(["right_shoulder", "right_elbow"])
    arm = STICKS.index("left_upper_arm")
    np.testing.assert_array_equal(sticks[:, arm], truth.joints_px[:, [shoulder, elbow]])
    assert np.isnan(sticks[:, [STICKS.index("torso"), STICKS.index("head")]]).all()


def test_ends_may_be_turned_over_where_the_set_does_not_fix_them() -> None:
    free, fixed = truth_like(3, sticks=True), truth_like(3)
    for truth, share in ((free, 1), (fixed, 0)):
        turned = Estimates(None, truth.sticks_px[:, :, ::-1], np.ones(3, dtype=bool))
        found = scored(protocols()["pcp_strict"], truth, turned)
        assert found["pcp_strict_upper_arm"].value == share


def test_unknown_truth_does_not_count() -> None:
    truth = truth_like(4)
    joints = truth.joints_px.copy()
    joints[0, WRIST] = NAN
    lost = replace(truth, joints_px=joints, sticks_px=joints[:, truth.skeleton.part_ends])
    wrong = moved(truth, 0, WRIST, 500)
    assert scored(protocols()["pdj_modec"], truth, wrong)["pdj_modec_left_wrist@0.20"].value == 0.75
    assert scored(protocols()["pdj_modec"], lost, wrong)["pdj_modec_left_wrist@0.20"].value == 1
    assert scored(protocols()["pcp_strict"], lost, wrong)["pcp_strict_left_lower_arm"].value == 1


def forgotten(truth: Truth, people: slice) -> Truth:
    joints, sticks = truth.joints_px.copy(), truth.sticks_px.copy()
    joints[people], sticks[people] = NAN, NAN
    return replace(truth, joints_px=joints, sticks_px=sticks)


@pytest.mark.parametrize("sticks", [False, True])
def test_people_of_whom_no_joint_is_known_are_in_no_share_and_named(sticks: bool) -> None:
    """Six of eight people have a wrist that is wrong; nothing is known of the two others, who are not right either."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = EvaluateSettings.from_config(compose("evaluate", ["checkpoint=x"]))

    def record(unknown: slice, kept: slice = slice(None)) -> Record:
        whole = truth_like(8, sticks)
        joints = whole.joints_px.copy()
        joints[:6, WRIST] += 500
        made, truth = estimates_from_joints(whole, joints), forgotten(whole, unknown)
        fields = ("joints_px", "torso_px", "window_px", "sticks_px", "images", "locations", "shots")
        truth = replace(truth, **{name: getattr(truth, name)[kept] for name in fields})
        assert made.joints_px is not None
        made = Estimates(made.joints_px[kept], made.sticks_px[kept], made.detected[kept])
        case = Case("m", "given", truth, lambda: made, len(truth), 0, {}, "")
        return score_case(
            case, made, "whole", [one for one in protocols().values() if not one.counts_everyone], settings, FEW
        )

    some = record(slice(6, None))
    assert "2 of 8 people have no known joint" in some.notes
    values = {name: numbers[0] for name, numbers in some.scores.items()}
    assert values == {name: numbers[0] for name, numbers in record(slice(0), slice(6)).scores.items()}
    assert record(slice(0)).notes == ""
    with pytest.raises(UserError, match="m: none of 8 people has a known joint"):
        record(slice(None))


def test_why_a_protocol_does_not_apply() -> None:
    truth = truth_like(3)
    estimates = estimates_from_joints(truth, truth.joints_px)
    pdj, strict = protocols()["pdj_modec"], protocols()["pcp_strict"]
    assert "no hips" in pdj.why_not(replace(truth, torso_px=np.full(3, NAN)), estimates)
    assert "not joints" in pdj.why_not(truth, replace(estimates, joints_px=None))
    assert "no stick" in strict.why_not(truth, replace(estimates, sticks_px=np.full_like(estimates.sticks_px, NAN)))


def test_a_skeleton_without_parts_has_joints_to_score() -> None:
    """Of a torso's length there are single joints; of no parts there is no stick, and no arms are asked for."""
    skeleton = Skeleton(["left_shoulder", "right_shoulder", "tail"], {}, [("left_shoulder", "right_shoulder")])
    joints = np.random.default_rng(0).uniform(0, 100, (6, 3, 2))
    truth = truth_like(
        6, skeleton=skeleton, joints_px=joints, sticks_px=part_ends_px(joints, skeleton), sticks=False
    )  # fmt: skip
    truth = replace(truth, sticks=())
    estimates = estimates_from_joints(truth, truth.joints_px, confidence=np.ones((6, 3)))
    assert truth.sticks_px.shape == estimates.sticks_px.shape == (6, 0, 2, 2)
    found = scored(protocols()["pdj_modec"], truth, estimates)
    assert found["pdj_modec_tail@0.20"].value == 1 and not [name for name in found if "elbow" in name]
    for name in ("pcp_strict", "pcp_official"):
        assert protocols()[name].why_not(truth, estimates) == "the skeleton has no parts"
    settings = ConfidenceSettings(at=0.2, groups={"elbow": ["left_elbow"], "tail": ["tail"]})
    everyone = np.ones(6, dtype=bool)
    ranked, left_out = measure_configured_groups(truth, estimates, everyone, settings, FEW)
    assert set(ranked) == {"tail"} and left_out == {"confidence elbow": "no joint 'left_elbow' in the data"}
    assert measure_configured_groups(truth, estimates, everyone, None, FEW) == ({}, {})
    assert measure_configured_groups(truth, estimates, everyone, ConfidenceSettings(at=0.2, groups=None), FEW) == (
        {},
        {},
    )


def test_the_interval_is_the_percentiles_of_drawn_people() -> None:
    """Of 100 people 30 are wrong: the share of a draw is binomial, of deviation sqrt(0.7 * 0.3 / 100) = 0.046."""
    truth = truth_like(100)
    joints = truth.joints_px.copy()
    joints[:30, ELBOW] += 1000
    found = protocols()["pcp_strict"].scores(
        truth, estimates_from_joints(truth, joints), np.ones(100, dtype=bool), Bootstrap(draws=4000, seed=3)
    )[0]["pcp_strict_left_upper_arm"]
    assert found.value == pytest.approx(0.7)
    assert found.low == pytest.approx(0.7 - 1.96 * 0.0458, abs=0.012)
    assert found.high == pytest.approx(0.7 + 1.96 * 0.0458, abs=0.012)
    wider = Bootstrap(draws=4000, level=0.99, seed=3)
    again = protocols()["pcp_strict"].scores(
        truth, estimates_from_joints(truth, joints), np.ones(100, dtype=bool), wider
    )[0]
    assert again["pcp_strict_left_upper_arm"].low < found.low


def test_people_of_one_shot_are_drawn_together() -> None:
    """Each person four times over, in one shot: nothing more is known than of each once, so no interval is narrower."""
    once = truth_like(60)
    joints = once.joints_px.copy()
    joints[:20, ELBOW] += 1000
    rows, confidence = np.repeat(np.arange(60), 4), np.random.default_rng(0).random((60, 8))
    arrays = {name: getattr(once, name)[rows] for name in ("joints_px", "torso_px", "window_px", "sticks_px")}
    names = {name: tuple(getattr(once, name)[row] for row in rows) for name in ("images", "locations", "shots")}
    four = replace(once, **arrays, **names)  # type: ignore[arg-type]  # fields of several types
    for protocol in protocols().values():
        few = protocol.scores(once, estimates_from_joints(once, joints), np.ones(60, dtype=bool), Bootstrap(200))[0]
        many = protocol.scores(
            four, estimates_from_joints(four, joints[rows]), np.ones(240, dtype=bool), Bootstrap(200)
        )[0]
        assert few.keys() == many.keys() and len(few) > 3
        for name, found in few.items():
            np.testing.assert_allclose(many[name], found, rtol=1e-6, err_msg=name)
            assert found.low < found.value < found.high or "left_upper_arm" not in name
    gains = [
        selective_accuracy_by_group(
            truth, estimates_from_joints(truth, where, confidence=knows), np.ones(len(truth), bool),
            {"e": ["left_elbow"]}, 0.2, Bootstrap(200),
        )["e"]["gain_at_half"]
        for truth, where, knows in ((once, joints, confidence), (four, joints[rows], confidence[rows]))
    ]  # fmt: skip
    assert gains[0] == pytest.approx(gains[1]) and gains[0][1] < gains[0][2]


def test_only_the_shots_of_those_who_count_are_drawn() -> None:
    truth = replace(truth_like(6), shots=("a", "a", "b", "b", "c", "c"))
    counted = np.array([True, False, True, True, False, False])
    draws = Bootstrap(50).draw(truth.shots_of(counted))
    assert draws.shots == 2 and draws.counts.shape == (51, 3)
    assert (draws.counts[:, 1] == draws.counts[:, 2]).all() and (draws.counts[1:, 0] != draws.counts[1:, 1]).any()
    assert (draws.counts[1:, 0] + draws.counts[1:, 1] == 2).all()


def test_draws_depend_on_the_seed_alone() -> None:
    one, same, other = (Bootstrap(10, seed=seed).draw([f"{row}" for row in range(30)]).counts for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()
    assert (one[0] == 1).all() and (one.sum(1) == 30).all() and one.shape == (11, 30)


def test_no_draw_with_anything_to_measure_has_no_interval() -> None:
    found = FEW.draw(["a", "b"]).score(np.full(21, np.nan))
    assert all(math.isnan(number) for number in found)

"""The metrics on hand-made people, and in batches as in one."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from omegaconf import OmegaConf
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from hmlpe.errors import UserError
from hmlpe.metrics import ModecPDJ, PixelError, Spread, StrictPCPOfJoints, WindowAP
from hmlpe.skeleton import Skeleton

CONFIGS = Path(__file__).parents[2] / "conf"
SKELETON: Skeleton = instantiate(OmegaConf.load(CONFIGS / "skeleton" / "upper_body.yaml"))
ELBOWS, WRISTS = [4, 5], [6, 7]  # FACTS 2
NAN = float("nan")
ONE_PART = Skeleton(["a", "b"], {"stick": ["a", "b"]})
TWO_PARTS = Skeleton(["a", "b", "c"], {"first": ["a", "b"], "second": ["b", "c"]})


def configured() -> list[Metric]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train")
    return [instantiate(metric) for named in config.metrics.values() for metric in named.values()]


def result(metric: Metric, *batch: Tensor) -> dict[str, float]:
    metric.update(*batch)
    return {name: value.item() for name, value in metric.compute().items()}


def pose(people: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 200, (people, 8, 2), generator=torch.Generator().manual_seed(seed)).float()


def moved(truth: Tensor, errors: dict[tuple[int, int], float]) -> Tensor:
    """The truth with some joints, by (person, joint), moved by a distance."""
    predicted = truth.clone()
    for place, distance in errors.items():
        predicted[place] += torch.tensor([distance, 0.0])
    return predicted


def pdj() -> ModecPDJ:
    return ModecPDJ(SKELETON, {"elbow": ["left_elbow", "right_elbow"], "wrist": ["left_wrist", "right_wrist"]})


def test_configured_metrics_name_their_protocol() -> None:
    found = MetricCollection(configured(), compute_groups=False)
    found.update(
        predicted_px=pose(3),
        truth_px=pose(3, 1),
        torso_px=torch.ones(3),
        predicted_crop_px=pose(3),
        truth_crop_px=pose(3, 1),
        part_maps=torch.rand(3, 7, 64),
        part_truth=torch.ones(3, 7, 64),
    )
    curve = [f"@{t / 100:.2f}" for t in range(1, 21)] + ["_auc"]
    expected = {f"pdj_modec_{group}{end}" for group in ("elbow", "wrist") for end in curve}
    expected |= {"pcp_strict_upper_arm", "pcp_strict_lower_arm", "error_px", "spread"}
    expected |= {"window_ap", *(f"window_ap_{part}" for part in SKELETON.parts)}
    assert set(found.compute()) == expected


def test_pdj_by_hand() -> None:
    """Errors of 5, 10, 30 and 0 px over a torso of 100; wrists are pooled apart."""
    truth = pose(2)
    predicted = moved(truth, {(0, 4): 5, (0, 5): 10, (1, 4): 30, (0, 6): 12, (0, 0): 99})
    found = result(pdj(), predicted, truth, torch.tensor([100.0, 100.0]))
    elbow = [found[f"pdj_modec_elbow@{t / 100:.2f}"] for t in range(1, 21)]
    assert elbow == [0.25] * 4 + [0.5] * 5 + [0.75] * 11
    wrist = [found[f"pdj_modec_wrist@{t / 100:.2f}"] for t in range(1, 21)]
    assert wrist == [0.75] * 11 + [1.0] * 9
    assert found["pdj_modec_elbow_auc"] == pytest.approx(sum(elbow) / 20)
    assert found["pdj_modec_wrist_auc"] == pytest.approx(sum(wrist) / 20)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pdj_threshold_is_inclusive(dtype: torch.dtype) -> None:
    """FACTS 6: error / torso · 100 <= t. A hundredth of a pixel more is a miss."""
    truth, torso = torch.zeros(1, 8, 2, dtype=dtype), torch.tensor([100.0], dtype=dtype)
    wrong = []
    for percent in range(1, 21):
        key = f"pdj_modec_elbow@{percent / 100:.2f}"
        at = result(pdj(), moved(truth, {(0, 4): percent, (0, 5): 500}), truth, torso)[key]
        beyond = result(pdj(), moved(truth, {(0, 4): percent + 0.01, (0, 5): 500}), truth, torso)[key]
        wrong += [] if (at, beyond) == (0.5, 0.0) else [percent]
    assert wrong == []


def test_pdj_is_relative_to_each_persons_torso() -> None:
    truth = pose(3)
    predicted = moved(truth, {(i, joint): 10 for i in range(3) for joint in ELBOWS})
    found = result(pdj(), predicted, truth, torch.tensor([200.0, 100.0, 50.0]))
    assert [found[f"pdj_modec_elbow@0.{t}"] for t in ("04", "05", "10", "19", "20")] == pytest.approx(
        [0, 1 / 3, 2 / 3, 2 / 3, 1]
    )


def test_pdj_counts_only_what_is_known() -> None:
    """A person without a torso, and a joint without coordinates; the same person's other joints count."""
    truth = pose(4)
    truth[1, 4] = NAN
    truth[2, 5, 1] = NAN
    predicted = moved(truth, {(0, 4): 50, (3, 4): 50, (3, 5): 50})
    found = result(pdj(), predicted, truth, torch.tensor([100.0, 100.0, 100.0, NAN]))
    assert found["pdj_modec_elbow@0.20"] == 3 / 4  # persons 0 (one of two), 1 and 2 (one each)
    assert found["pdj_modec_wrist@0.01"] == 1


def test_pdj_of_an_unknown_prediction_is_a_miss() -> None:
    truth = pose(2)
    predicted = truth.clone()
    predicted[0, 4], predicted[1, 5, 0] = NAN, NAN
    assert result(pdj(), predicted, truth, torch.full((2,), 100.0))["pdj_modec_elbow@0.20"] == 0.5


def test_pdj_of_nobody_is_nan() -> None:
    found = result(pdj(), pose(2), pose(2), torch.full((2,), NAN))
    assert all(math.isnan(value) for value in found.values())


def test_pdj_of_an_unknown_joint_is_refused() -> None:
    with pytest.raises(UserError, match=r"metrics: knee: no 'left_knee'"):
        ModecPDJ(SKELETON, {"knee": ["left_knee"]})


STICK = torch.tensor([[[0.0, 0.0], [0.0, 10.0]]])


@pytest.mark.parametrize(
    ("errors", "correct"),
    [
        ((0, 0), 1),
        ((5, 5), 1),  # half the length itself
        ((5.01, 0), 0),  # both ends are needed, and their mean is not what counts
        ((0, 5.01), 0),
        ((9, 9), 0),
        ((NAN, 0), 0),  # a miss
    ],
)
def test_pcp_needs_both_ends_within_half_the_length(errors: tuple[float, float], correct: int) -> None:
    predicted = STICK + torch.tensor([[[errors[0], 0.0], [errors[1], 0.0]]])
    assert result(StrictPCPOfJoints(ONE_PART, {"all": ["stick"]}), predicted, STICK) == {"pcp_strict_all": correct}


def test_pcp_does_not_pair_ends_the_other_way_round() -> None:
    assert result(StrictPCPOfJoints(ONE_PART, {"all": ["stick"]}), STICK.flip(1), STICK) == {"pcp_strict_all": 0}


def test_pcp_measures_by_the_true_stick_and_its_threshold() -> None:
    predicted = torch.tensor([[[0.0, 0.0], [0.0, 16.0]]])  # 6 off: within half of 16, not of 10
    assert result(StrictPCPOfJoints(ONE_PART, {"all": ["stick"]}), predicted, STICK) == {"pcp_strict_all": 0}
    assert result(StrictPCPOfJoints(ONE_PART, {"all": ["stick"]}, threshold=0.6), predicted, STICK) == {
        "pcp_strict_all": 1
    }


def test_pcp_of_a_group_is_the_mean_of_its_parts() -> None:
    """As the paper reports it: left 2 of 3, right 0 of 1, not 2 of 4. Unknown sticks do not count."""
    truth = torch.zeros(3, 8, 2)
    truth[:, 1:, 0] = torch.arange(1, 8) * 30.0
    truth[1:, 3] = NAN  # right shoulder: right upper arm
    groups = {"upper_arm": ["left_upper_arm", "right_upper_arm"], "left": ["left_upper_arm"]}
    groups |= {"lower_arm": ["left_lower_arm", "right_lower_arm"]}
    predicted = moved(truth, {(2, 1): 50, (0, 3): 50})
    assert result(StrictPCPOfJoints(SKELETON, groups), predicted, truth) == pytest.approx(
        {"pcp_strict_upper_arm": (2 / 3 + 0) / 2, "pcp_strict_left": 2 / 3, "pcp_strict_lower_arm": 1}
    )


def test_pcp_of_nobody_is_nan() -> None:
    found = result(StrictPCPOfJoints(ONE_PART, {"all": ["stick"]}), STICK, STICK * NAN)
    assert math.isnan(found["pcp_strict_all"])


def test_pcp_of_an_unknown_part_is_refused() -> None:
    with pytest.raises(UserError, match=r"metrics: leg: no 'shin' .*left_upper_arm"):
        StrictPCPOfJoints(SKELETON, {"leg": ["shin"]})


def test_pixel_error_is_the_mean_distance_of_known_joints() -> None:
    truth = torch.tensor([[[0.0, 0.0], [1.0, 1.0]], [[5.0, 5.0], [NAN, NAN]], [[2.0, NAN], [0.0, 0.0]]])
    predicted = torch.tensor([[[3.0, 4.0], [1.0, 1.0]], [[5.0, 17.0], [0.0, 0.0]], [[2.0, 2.0], [0.0, -7.0]]])
    assert result(PixelError(), predicted, truth) == {"error_px": pytest.approx((5 + 0 + 12 + 7) / 4)}


def spread(predicted: Tensor, truth: Tensor) -> float:
    return result(Spread(SKELETON), predicted, truth)["spread"]


def test_spread_of_one_pose_for_all_is_zero() -> None:
    truth = pose(20)
    assert spread(torch.full((20, 8, 2), 56.3), truth) == pytest.approx(0, abs=1e-5)
    assert spread(pose(1, 5).expand(20, -1, -1), truth) == pytest.approx(0, abs=1e-5)


def test_spread_of_the_truth_is_one_wherever_it_is() -> None:
    truth = pose(20)
    assert spread(truth, truth) == pytest.approx(1)
    assert spread(truth + torch.randn(8, 2) * 100, truth) == pytest.approx(1, rel=1e-5)


@given(factor=st.floats(0, 3))
def test_spread_is_the_ratio_of_deviations(factor: float) -> None:
    truth = pose(20)
    mean = truth.mean(0)
    assert spread(mean + factor * (truth - mean), truth) == pytest.approx(factor, rel=1e-4, abs=1e-4)


def test_spread_by_hand() -> None:
    """Variances are summed over the coordinates: 16 + 4 + 0 + 0 of the truth, 1 + 0 + 4 + 0 predicted."""
    truth = torch.tensor([[[0.0, 0.0], [7.0, 7.0]], [[8.0, 4.0], [7.0, 7.0]]])
    predicted = torch.tensor([[[0.0, 3.0], [0.0, 1.0]], [[2.0, 3.0], [4.0, 1.0]]])
    assert result(Spread(ONE_PART), predicted, truth) == {"spread": pytest.approx((5 / 20) ** 0.5)}


def test_spread_is_that_of_the_known_joints() -> None:
    truth = pose(20)
    predicted = truth.clone()
    truth[3:9, 2], truth[:, 7] = NAN, NAN
    predicted[3:9, 2], predicted[:, 7] = 1e4, torch.arange(20)[:, None] * 1e3
    assert spread(predicted, truth) == pytest.approx(1)


def test_spread_of_broken_predictions_is_not_a_collapse() -> None:
    """NaN everywhere is not one pose for all: it must not read as 0."""
    assert spread(torch.full((5, 8, 2), NAN), pose(5)) != 0


def average_precision(scores: list[float], truth: list[int]) -> float:
    """Σ (Rₙ - Rₙ₋₁) Pₙ over the distinct scores from the highest down."""
    found, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [t for s, t in zip(scores, truth, strict=True) if s >= threshold]
        now = sum(chosen) / sum(truth)
        found += (now - recall) * sum(chosen) / len(chosen)
        recall = now
    return found


def window_ap(scores: list[float], truth: list[float]) -> dict[str, float]:
    return result(WindowAP(ONE_PART), torch.tensor(scores).reshape(1, 1, -1), torch.tensor(truth).reshape(1, 1, -1))


def test_window_ap_by_hand() -> None:
    assert window_ap([0.9, 0.8, 0.7, 0.6], [1.0, 0.0, 1.0, 0.0])["window_ap"] == pytest.approx((1 + 2 / 3) / 2)
    assert window_ap([0.9, 0.8, 0.2, 0.1], [1.0, 1.0, 0.0, 0.0])["window_ap"] == 1
    assert window_ap([0.1, 0.2, 0.8, 0.9], [1.0, 0.0, 0.0, 0.0])["window_ap"] == 0.25
    assert window_ap([0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.0, 0.0])["window_ap"] == 0.25


@given(
    pairs=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1)), min_size=1, max_size=30).filter(
        lambda pairs: any(t for _, t in pairs)
    )
)
def test_window_ap_is_the_area_under_the_steps(pairs: list[tuple[int, int]]) -> None:
    scores, truth = [s / 100 for s, _ in pairs], [t for _, t in pairs]
    expected = average_precision(scores, truth)
    assert window_ap(scores, [float(t) for t in truth])["window_ap"] == pytest.approx(expected, abs=1e-5)


def test_window_ap_ignores_unknown_parts() -> None:
    """The best scores of all, but nobody knows the truth there."""
    maps = torch.tensor([[[0.9, 0.8, 0.7]], [[1.0, 0.99, 0.98]]])
    truth = torch.tensor([[[1.0, 0.0, 1.0]], [[NAN, NAN, NAN]]])
    assert result(WindowAP(ONE_PART), maps, truth)["window_ap_stick"] == pytest.approx((1 + 2 / 3) / 2)


def test_window_ap_is_the_mean_over_the_parts_that_occur() -> None:
    skeleton = Skeleton(["a", "b"], {"perfect": ["a", "b"], "poor": ["a", "b"], "absent": ["a", "b"]})
    maps = torch.tensor([[[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]])
    truth = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
    found = result(WindowAP(skeleton), maps, truth)
    assert (found["window_ap_perfect"], found["window_ap_poor"]) == (1, 0.5)
    assert math.isnan(found["window_ap_absent"])
    assert found["window_ap"] == pytest.approx(0.75)


def test_window_ap_keeps_parts_and_windows_apart() -> None:
    """Two people, two parts, three windows: each score meets its own truth."""
    truth = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]])
    assert set(result(WindowAP(TWO_PARTS), truth * 0.8 + 0.1, truth).values()) == {1.0}


@given(cuts=st.lists(st.integers(1, 11), max_size=3, unique=True), seed=st.integers(0, 99))
def test_batches_give_what_one_batch_gives(cuts: list[int], seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    truth = torch.rand(12, 8, 2, generator=rng) * 100
    truth[torch.rand(12, 8, generator=rng) < 0.1] = NAN
    predicted = torch.rand(12, 8, 2, generator=rng) * 40 + truth.nan_to_num(50) - 20
    part_truth = (torch.rand(12, 7, 4, generator=rng) < 0.4).float()
    part_truth[torch.rand(12, 7, generator=rng) < 0.1] = NAN
    batch = {
        "predicted_px": predicted,
        "truth_px": truth,
        "torso_px": torch.rand(12, generator=rng) * 50 + 50,
        "predicted_crop_px": predicted / 2,
        "truth_crop_px": truth / 2,
        "part_maps": torch.rand(12, 7, 4, generator=rng),
        "part_truth": part_truth,
    }
    whole, parts = METRICS.clone(), METRICS.clone()
    whole.update(**batch)
    edges = [0, *sorted(cuts), 12]
    for start, end in pairwise(edges):
        parts.update(**{name: value[start:end] for name, value in batch.items()})
    torch.testing.assert_close(parts.compute(), whole.compute(), equal_nan=True, rtol=1e-5, atol=1e-6)


METRICS = MetricCollection(configured(), compute_groups=False)


def test_reset_forgets() -> None:
    truth, metric = pose(2), pdj()
    metric.update(moved(truth, {(0, 4): 90}), truth, torch.full((2,), 100.0))
    metric.reset()
    assert result(metric, truth, truth, torch.full((2,), 100.0))["pdj_modec_elbow@0.01"] == 1


def test_wrong_shapes_raise() -> None:
    with pytest.raises(TypeCheckError, match="truth_px"):
        pdj().update(pose(2), pose(3), torch.ones(2))
    with pytest.raises(TypeCheckError, match="torso_px"):
        pdj().update(pose(2), pose(2), torch.ones(2, 1))
    with pytest.raises(TypeCheckError, match="predicted_crop_px"):
        PixelError().update(pose(2)[0], pose(2)[0])
    with pytest.raises(TypeCheckError, match="part_truth"):
        WindowAP(ONE_PART).update(torch.rand(2, 1, 64), torch.rand(2, 1, 63))

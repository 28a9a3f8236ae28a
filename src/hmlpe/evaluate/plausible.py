"""Check whether a file's predictions are plausible: find the mistakes that such files often have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float

from hmlpe.evaluate.people import STICKS, Estimates, Truth, estimates_from_joints
from hmlpe.evaluate.reference import Reference
from hmlpe.metrics.pcp import strict_errors

NEAR_RADIUS = 0.4  # a share of the joints' root mean square distance from their mean: about MODEC's 0.2 torso lengths
STICK_LIMIT = 0.5  # a share of the stick's length, as in strict PCP
# A change of the predictions, such as an exchange of left and right, is reported if it increases the share of points
# near the ground truth, averaged over people, by more than MIN_GAIN and more than MIN_STANDARD_ERRORS standard errors.
MIN_GAIN = 0.1
MIN_STANDARD_ERRORS = 3.0
MIN_PEOPLE = 5  # with fewer people, nothing is reported
MIN_REPEATED_SHARE = 0.1  # a point that is the same in at least this share of the people is reported
MIN_RESIZE_FACTOR = 1.1  # below it, pixels are taken for those of the original images
MIN_RESIZE_GAIN = 0.4  # MIN_GAIN for resizing; it is larger, as randomly placed points gain by scaling, too
OUTSIDE_MARGIN = 0.1  # how far a point may lie outside its image, as a share of the image's side

NearTruth = Float[np.ndarray, "person item"]


def plausibility_warnings(truth: Truth, estimates: Estimates, reference: Reference) -> list[str]:
    """Return warnings about likely mistakes in the predictions; empty if there is nothing suspicious.

    Args:
        truth: the ground truth.
        estimates: the predictions for the same people.
        reference: what else they are compared with.
    """
    found = [*_swap_warnings(truth, estimates, reference)]
    found += [] if found else _resize_warnings(truth, estimates)
    found += [] if found else _mean_pose_warnings(truth, estimates, reference)
    return [*found, *_repeated_point_warnings(truth, estimates), *_outside_warnings(estimates, reference)]


def is_near_truth(truth: Truth, estimates: Estimates) -> NearTruth:
    """Tell which predictions are near the ground truth.

    Returns:
        (person, item) 1 if near, 0 if not, NaN if the prediction or the truth is unknown. The items are joints; if the
        method predicts sticks only, they are sticks.
    """
    if estimates.joints_px is None:
        errors = strict_errors(
            torch.from_numpy(estimates.sticks_px), torch.from_numpy(truth.sticks_px), truth.free_ends
        )
        error, limit = errors.numpy(), np.float64(STICK_LIMIT)
    else:
        known = np.isfinite(truth.joints_px).all(-1, keepdims=True)
        count = np.maximum(known.sum(1, keepdims=True), 1)
        offset = truth.joints_px - np.where(known, truth.joints_px, 0).sum(1, keepdims=True) / count
        size = np.sqrt(np.where(known, offset**2, 0).sum((1, 2)) / count[:, 0, 0])
        error, limit = np.linalg.norm(estimates.joints_px - truth.joints_px, axis=-1), NEAR_RADIUS * size[:, None]
    return np.where(np.isfinite(error), error <= limit, np.nan)


def _swap_warnings(truth: Truth, estimates: Estimates, reference: Reference) -> Iterator[str]:
    """Yield a warning if left and right, x and y, the conventions of sides or the order of people seem exchanged."""
    as_is = is_near_truth(truth, estimates)
    sides = is_near_truth(truth, _exchange_left_right(truth, estimates))
    changes = np.array(_mirror_order(truth, estimates)) != np.arange(as_is.shape[1])
    said = _describe_gain(as_is[:, changes], sides[:, changes])
    if said:
        yield f"left and right seem to be exchanged: {said} with them the other way round (docs/predictions.md, Sides)"
    elif reference.other_sides is not None:
        other = is_near_truth(reference.other_sides, estimates)
        differ = reference.sides_differ
        said = _describe_gain(as_is[differ][:, changes], other[differ][:, changes])
        if said:
            yield (
                f"the sides seem to be those of data.sides={reference.other_name}: for the {differ.sum()} people whose "
                f"labels differ, {said} by these"
            )
    said = _describe_gain(as_is, is_near_truth(truth, _apply_to_points(estimates, lambda points: points[..., ::-1])))
    if said:
        yield f"x and y seem to be exchanged: {said} with them the other way round"
    for step, word in ((1, "after"), (-1, "before")):
        said = _describe_gain(
            as_is, is_near_truth(truth, _apply_to_points(estimates, partial(np.roll, shift=-step, axis=0)))
        )
        if said:
            yield f"the people seem to be shifted, by one or more: {said} with answers taken from the person {word}"


def _resize_warnings(truth: Truth, estimates: Estimates) -> Iterator[str]:
    """Yield a warning if the pixels seem to be those of resized images.

    One factor for x and one for y, the same for all people, are tried.
    """
    if estimates.joints_px is None:  # the sticks' midpoints, as a data set may leave the order of a stick's ends open
        points, true = estimates.sticks_px.mean(2), truth.sticks_px.mean(2)
    else:
        points, true = estimates.joints_px, truth.joints_px
    known = np.isfinite(points).all(-1) & np.isfinite(true).all(-1) & (points > 0).all(-1)
    if not known.any():
        return
    factors = np.median(true[known] / points[known], axis=0)
    if not (np.isfinite(factors) & (factors > 0)).all() or (abs(np.log(factors)) < np.log(MIN_RESIZE_FACTOR)).all():
        return
    said = _describe_gain(
        is_near_truth(truth, estimates),
        is_near_truth(truth, _apply_to_points(estimates, lambda place: place * factors)),
        min_gain=MIN_RESIZE_GAIN,
    )
    if said:
        across, down = factors
        yield (
            f"the pixels seem to be those of images of another size: {said} with x times {across:.3g} and y times "
            f"{down:.3g}"
        )


def _mean_pose_warnings(truth: Truth, estimates: Estimates, reference: Reference) -> Iterator[str]:
    """Yield a warning if the training people's mean pose, placed in everyone's box, is nearer to the ground truth."""
    if reference.mean_pose_px is None:
        return
    pose = estimates_from_joints(truth, reference.mean_pose_px)
    if estimates.joints_px is None:
        pose = replace(pose, joints_px=None)
    said = _describe_gain(is_near_truth(truth, estimates), is_near_truth(truth, pose), min_gain=0.0)
    if said:
        yield f"worse than the mean pose of the set's training people: {said} with that pose in everyone's box"


def _describe_gain(as_is: NearTruth, changed: NearTruth, min_gain: float = MIN_GAIN) -> str:
    """Return a text that says how many more points are near the truth after a change of the predictions.

    It is empty unless there clearly are more.

    Args:
        as_is: which predictions are near the ground truth.
        changed: which are after the change, or which of other predictions are.
        min_gain: the smallest increase of the share of near points that is reported.
    """
    both = np.isfinite(as_is) & np.isfinite(changed)
    people = both.any(1)
    if people.sum() < MIN_PEOPLE:
        return ""
    own, instead = (np.where(both, values, 0)[people].sum(1) / both[people].sum(1) for values in (as_is, changed))
    gain = instead - own
    if gain.mean() <= max(min_gain, MIN_STANDARD_ERRORS * gain.std(ddof=1) / np.sqrt(len(gain))):
        return ""
    return f"{100 * own.mean():.0f} % of the points are near the truth, {100 * instead.mean():.0f} %"


def _repeated_point_warnings(truth: Truth, estimates: Estimates) -> Iterator[str]:
    """Yield a warning if a point is at the same place in many people, or if two joints often are at one place."""
    points, names = _named_points(truth, estimates)
    still = []
    for name, own in zip(names, points.swapaxes(0, 1), strict=True):
        places, counts = np.unique(own[np.isfinite(own).all(1)], axis=0, return_counts=True)
        if len(counts) and _is_frequent(int(counts.max()), int(counts.sum())):
            x, y = places[counts.argmax()]
            still.append(f"{name} is at ({x:g}, {y:g}) in {counts.max()} of {counts.sum()} people")
    if still:
        yield f"one point repeats: {_first_and_count(still)}; leave what is not predicted empty or NaN"
    if still or estimates.joints_px is None:  # with sticks, two ends may rightly be at one place
        return
    one = []
    for i, j in combinations(range(len(names)), 2):
        same = (points[:, i] == points[:, j]).all(1)
        known = np.isfinite(points[:, [i, j]]).all((1, 2))
        if _is_frequent(int(same.sum()), int(known.sum())):
            one.append(f"{names[i]} and {names[j]} are at the same place in {same.sum()} of {known.sum()} people")
    if one:
        yield f"one point repeats: {_first_and_count(one)}"


def _first_and_count(messages: list[str]) -> str:
    """Return the first message, and how many more there are."""
    return messages[0] if len(messages) == 1 else f"{messages[0]}, and {len(messages) - 1} more like it"


def _outside_warnings(estimates: Estimates, reference: Reference) -> Iterator[str]:
    """Yield a warning if more than half of the points lie outside their images."""
    points = estimates.sticks_px if estimates.joints_px is None else estimates.joints_px
    points = points.reshape(len(points), -1, 2)
    size = reference.sizes_px[:, None]
    known = np.isfinite(points).all(-1) & np.isfinite(size).all(-1)
    out = ((points < -OUTSIDE_MARGIN * size) | (points > (1 + OUTSIDE_MARGIN) * size)).any(-1) & known
    if 2 * out.sum() > known.sum():
        share = 100 * out.sum() / known.sum()
        yield f"{share:.0f} % of the points lie outside the images; are they pixels of the set's own images?"


def _is_frequent(count: int, total: int) -> bool:
    """Return whether `count` of `total` people are so many that a repeated point is suspicious."""
    return count >= max(MIN_PEOPLE, MIN_REPEATED_SHARE * total)


def _named_points(truth: Truth, estimates: Estimates) -> tuple[Float[np.ndarray, "person point 2"], list[str]]:
    """Return the predicted joints, or else the ends of the predicted sticks, and the name of each point."""
    if estimates.joints_px is not None:
        return estimates.joints_px, list(truth.skeleton.joints)
    names = [f"{stick}_{end}" for stick in truth.sticks for end in (1, 2)]
    return estimates.sticks_px.reshape(len(truth), -1, 2), names


def _apply_to_points(estimates: Estimates, function: Callable[[np.ndarray], np.ndarray]) -> Estimates:
    """Return the predictions with `function` applied to the arrays of joints and of sticks."""
    joints = None if estimates.joints_px is None else function(estimates.joints_px).copy()
    return replace(estimates, joints_px=joints, sticks_px=function(estimates.sticks_px).copy())


def _exchange_left_right(truth: Truth, estimates: Estimates) -> Estimates:
    """Return the predictions with left and right joints, or sticks, exchanged."""
    order = _mirror_order(truth, estimates)
    if estimates.joints_px is None:
        return replace(estimates, sticks_px=estimates.sticks_px[:, order])
    return replace(estimates, joints_px=estimates.joints_px[:, order])


def _mirror_order(truth: Truth, estimates: Estimates) -> list[int]:
    """Return, for every joint or stick, the index of the one that replaces it when left and right are exchanged."""
    if estimates.joints_px is not None:
        return truth.skeleton.mirror_order
    if truth.sticks == STICKS:
        swapped = [name.replace("left", "*").replace("right", "left").replace("*", "right") for name in STICKS]
        return [STICKS.index(name) for name in swapped]
    order, ends = truth.skeleton.mirror_order, truth.skeleton.part_ends
    swaps = [(order[first], order[second]) for first, second in ends]
    return [ends.index(pair) if pair in ends else part for part, pair in enumerate(swaps)]

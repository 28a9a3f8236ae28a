"""Whether a file's answers can be what they are taken for: the mistakes that files of predictions come with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float

from hmlpe.evaluate.people import STICKS, Estimates, Truth, of_joints
from hmlpe.evaluate.reference import Reference
from hmlpe.metrics.pcp import strict_errors

NEAR = 0.4  # of the joints' root mean square distance from their mean: about MODEC's 0.2 torsos
STICK = 0.5  # of the stick's length, as strict PCP has it
BETTER = 0.1  # an exchange counts if so much more of the points are near the truth with it,
SURE = 3.0  # and if that is so many standard errors over people
FEWEST = 5  # people of whom that can be said
OFTEN = 0.1  # share of the people in whom a point may not be the same
RESIZED = 1.1  # a factor below which pixels are taken for those of the images themselves,
FITS = 0.4  # and how much more of the points must be near with it: points that lie anywhere gain by factors, too
BESIDE = 0.1  # share of an image's side by which a point may lie beside it

Near = Float[np.ndarray, "person item"]


def doubts(truth: Truth, estimates: Estimates, reference: Reference) -> list[str]:
    """What a reader must know before the numbers are believed, in words; empty if nothing is odd."""
    found = [*_exchanged(truth, estimates, reference)]
    found += [] if found else _resized(truth, estimates)
    found += [] if found else _below_mean_pose(truth, estimates, reference)
    return [*found, *_repeated(truth, estimates), *_outside(estimates, reference)]


def near(truth: Truth, estimates: Estimates) -> Near:
    """1 where a joint (of a method of sticks: a stick) is near the truth, 0 where not, NaN where either is unknown."""
    if estimates.joints_px is None:
        errors = strict_errors(
            torch.from_numpy(estimates.sticks_px), torch.from_numpy(truth.sticks_px), truth.free_ends
        )
        error, limit = errors.numpy(), np.float64(STICK)
    else:
        known = np.isfinite(truth.joints_px).all(-1, keepdims=True)
        count = np.maximum(known.sum(1, keepdims=True), 1)
        offset = truth.joints_px - np.where(known, truth.joints_px, 0).sum(1, keepdims=True) / count
        size = np.sqrt(np.where(known, offset**2, 0).sum((1, 2)) / count[:, 0, 0])
        error, limit = np.linalg.norm(estimates.joints_px - truth.joints_px, axis=-1), NEAR * size[:, None]
    return np.where(np.isfinite(error), error <= limit, np.nan)


def _exchanged(truth: Truth, estimates: Estimates, reference: Reference) -> Iterator[str]:
    as_is = near(truth, estimates)
    sides = near(truth, _mirrored(truth, estimates))
    changes = np.array(_mirror(truth, estimates)) != np.arange(as_is.shape[1])
    said = _better(as_is[:, changes], sides[:, changes])
    if said:
        yield f"left and right seem to be exchanged: {said} with them the other way round (docs/predictions.md, Sides)"
    elif reference.other_sides is not None:
        other = near(reference.other_sides, estimates)
        differ = reference.differ
        said = _better(as_is[differ][:, changes], other[differ][:, changes])
        if said:
            yield (
                f"the sides seem to be those of data.sides={reference.other_name}: of the {differ.sum()} people whose "
                f"labels differ, {said} by these"
            )
    said = _better(as_is, near(truth, _changed(estimates, lambda points: points[..., ::-1])))
    if said:
        yield f"x and y seem to be exchanged: {said} with them the other way round"
    for step, word in ((1, "after"), (-1, "before")):
        said = _better(as_is, near(truth, _changed(estimates, partial(np.roll, shift=-step, axis=0))))
        if said:
            yield f"the people seem to be shifted, by one or more: {said} with everyone's answer from the one {word}"


def _resized(truth: Truth, estimates: Estimates) -> Iterator[str]:
    """Pixels of images that were made smaller or larger, across and down by one factor each for everybody."""
    if estimates.joints_px is None:  # middles: a set may not fix the order of ends
        points, true = estimates.sticks_px.mean(2), truth.sticks_px.mean(2)
    else:
        points, true = estimates.joints_px, truth.joints_px
    known = np.isfinite(points).all(-1) & np.isfinite(true).all(-1) & (points > 0).all(-1)
    if not known.any():
        return
    factors = np.median(true[known] / points[known], axis=0)
    if not (np.isfinite(factors) & (factors > 0)).all() or (abs(np.log(factors)) < np.log(RESIZED)).all():
        return
    said = _better(near(truth, estimates), near(truth, _changed(estimates, lambda place: place * factors)), by=FITS)
    if said:
        across, down = factors
        yield (
            f"the pixels seem to be those of images of another size: {said} with x times {across:.3g} and y times "
            f"{down:.3g}"
        )


def _below_mean_pose(truth: Truth, estimates: Estimates, reference: Reference) -> Iterator[str]:
    if reference.mean_pose_px is None:
        return
    pose = of_joints(truth, reference.mean_pose_px)
    if estimates.joints_px is None:
        pose = replace(pose, joints_px=None)
    said = _better(near(truth, estimates), near(truth, pose), by=0.0)
    if said:
        yield f"worse than the mean pose of the set's training people: {said} with that pose in everyone's box"


def _better(as_is: Near, other: Near, by: float = BETTER) -> str:
    """How much nearer to the truth it would be otherwise, in words; empty unless it is far nearer."""
    both = np.isfinite(as_is) & np.isfinite(other)
    people = both.any(1)
    if people.sum() < FEWEST:
        return ""
    own, instead = (np.where(both, values, 0)[people].sum(1) / both[people].sum(1) for values in (as_is, other))
    gain = instead - own
    if gain.mean() <= max(by, SURE * gain.std(ddof=1) / np.sqrt(len(gain))):
        return ""
    return f"{100 * own.mean():.0f} % of the points are near the truth, {100 * instead.mean():.0f} %"


def _repeated(truth: Truth, estimates: Estimates) -> Iterator[str]:
    """Points that do not move from person to person, and joints of a person that are one place."""
    points, names = _points(truth, estimates)
    still = []
    for name, own in zip(names, points.swapaxes(0, 1), strict=True):
        places, counts = np.unique(own[np.isfinite(own).all(1)], axis=0, return_counts=True)
        if len(counts) and _often(int(counts.max()), int(counts.sum())):
            x, y = places[counts.argmax()]
            still.append(f"{name} is at ({x:g}, {y:g}) in {counts.max()} of {counts.sum()} people")
    if still:
        yield f"one point repeats: {_first(still)}; what is not predicted is empty or NaN"
    if still or estimates.joints_px is None:  # the ends of two sticks may meet
        return
    one = []
    for i, j in combinations(range(len(names)), 2):
        same = (points[:, i] == points[:, j]).all(1)
        known = np.isfinite(points[:, [i, j]]).all((1, 2))
        if _often(int(same.sum()), int(known.sum())):
            one.append(f"{names[i]} and {names[j]} are one place in {same.sum()} of {known.sum()} people")
    if one:
        yield f"one point repeats: {_first(one)}"


def _first(said: list[str]) -> str:
    return said[0] if len(said) == 1 else f"{said[0]}, and {len(said) - 1} more like it"


def _outside(estimates: Estimates, reference: Reference) -> Iterator[str]:
    points = estimates.sticks_px if estimates.joints_px is None else estimates.joints_px
    points = points.reshape(len(points), -1, 2)
    size = reference.sizes_px[:, None]
    known = np.isfinite(points).all(-1) & np.isfinite(size).all(-1)
    out = ((points < -BESIDE * size) | (points > (1 + BESIDE) * size)).any(-1) & known
    if 2 * out.sum() > known.sum():
        share = 100 * out.sum() / known.sum()
        yield f"{share:.0f} % of the points lie outside the images; are they pixels of the set's own images?"


def _often(count: int, of: int) -> bool:
    return count >= max(FEWEST, OFTEN * of)


def _points(truth: Truth, estimates: Estimates) -> tuple[Float[np.ndarray, "person point 2"], list[str]]:
    if estimates.joints_px is not None:
        return estimates.joints_px, list(truth.skeleton.joints)
    names = [f"{stick}_{end}" for stick in truth.sticks for end in (1, 2)]
    return estimates.sticks_px.reshape(len(truth), -1, 2), names


def _changed(estimates: Estimates, change: Callable[[np.ndarray], np.ndarray]) -> Estimates:
    """The same answers with their points changed."""
    joints = None if estimates.joints_px is None else change(estimates.joints_px).copy()
    return replace(estimates, joints_px=joints, sticks_px=change(estimates.sticks_px).copy())


def _mirrored(truth: Truth, estimates: Estimates) -> Estimates:
    order = _mirror(truth, estimates)
    if estimates.joints_px is None:
        return replace(estimates, sticks_px=estimates.sticks_px[:, order])
    return replace(estimates, joints_px=estimates.joints_px[:, order])


def _mirror(truth: Truth, estimates: Estimates) -> list[int]:
    """For every joint, or stick, the one that takes its place when left and right change."""
    if estimates.joints_px is not None:
        return truth.skeleton.mirror_order
    if truth.sticks == STICKS:
        swapped = [name.replace("left", "*").replace("right", "left").replace("*", "right") for name in STICKS]
        return [STICKS.index(name) for name in swapped]
    order, ends = truth.skeleton.mirror_order, truth.skeleton.part_ends
    swaps = [(order[first], order[second]) for first, second in ends]
    return [ends.index(pair) if pair in ends else part for part, pair in enumerate(swaps)]

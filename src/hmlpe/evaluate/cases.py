"""The cases of an evaluation: a network in the boxes of a pack, a network in detected boxes, or a predictions file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hmlpe.data.collection import build_data_sets
from hmlpe.data.dataset import PeopleDataset
from hmlpe.data.pack import Pack, open_pack
from hmlpe.data.record import Source
from hmlpe.data.selection import DataSet, annotation_place, parse_set_names
from hmlpe.detect.build import build_detector
from hmlpe.detect.detector import Detections, Detector
from hmlpe.detect.match import match_people
from hmlpe.errors import UserError
from hmlpe.evaluate.network import check_skeleton, estimate_in_given_boxes, estimate_mean_pose, select_test_people
from hmlpe.evaluate.people import Estimates, Truth, annotated_test_people, estimates_from_joints, truth_of
from hmlpe.evaluate.plausible import plausibility_warnings
from hmlpe.evaluate.predictions import Reader, check_exists, read_predictions
from hmlpe.evaluate.reference import reference_of
from hmlpe.evaluate.settings import EvaluateSettings
from hmlpe.files import digest_of, digest_of_file
from hmlpe.predict.estimator import IDENTITY_FACTORS, Estimator
from hmlpe.predict.open import ONNX, open_estimator, parse_trust
from hmlpe.predict.people import PosePredictor
from hmlpe.settings import build_component
from hmlpe.training.build import build_data, check_pack_settings

CHUNK = 32  # the number of images in memory at once
NO_RULE = "the set has no rule from windows to boxes, so windows are the boxes"
BOX_LABELS = {"detection": "given", "window": "true window", "truth": "true joints"}  # box rule of a pack -> label


@dataclass(frozen=True, eq=False)
class Case:
    """One method to be scored on one data set.

    Attributes:
        method, boxes, annotated, without_image, identity, notes: see `Record`.
        truth: the ground truth of the people to score.
        estimate: a function that returns the method's predictions. It may run for long, so everything that can be
            checked without them is checked before it is called.
        find_warnings: a function that returns warnings about likely mistakes in the predictions
            (`plausible.plausibility_warnings`); None for our own networks, which are not checked for them.
    """

    method: str
    boxes: str
    truth: Truth
    estimate: Callable[[], Estimates]
    annotated: int
    without_image: int
    identity: dict[str, str]
    notes: str
    find_warnings: Callable[[Estimates], list[str]] | None = None


def cases_to_score(settings: EvaluateSettings) -> Iterator[Case]:
    """Yield the cases that the settings name: a network in a pack's or in detected boxes, or a predictions file."""
    if settings.predictions is not None:
        yield from _cases_of_predictions_file(settings, Path(settings.predictions))
        return
    assert settings.checkpoint is not None
    path = Path(settings.checkpoint)
    estimator = _open_estimator(settings, path)
    check_skeleton(estimator, build_component("skeleton", settings.skeleton))
    identity = {"method": digest_of_file(path), "fires": str(settings.fires)}
    if settings.detector is None:
        yield from _cases_in_pack_boxes(settings, estimator, identity)
    else:
        yield from _cases_in_detected_boxes(settings, estimator, identity)


def _open_estimator(settings: EvaluateSettings, path: Path) -> Estimator:
    """Open the network at `path` on the device that the settings choose."""
    import torch

    on_gpu = settings.trainer.accelerator != "cpu" and path.suffix.lower() != ONNX and torch.cuda.is_available()
    return open_estimator(
        path, "cuda" if on_gpu else "cpu", settings.trainer.threads, settings.fires, parse_trust(settings.trust)
    )


def _cases_in_pack_boxes(settings: EvaluateSettings, estimator: Estimator, identity: dict[str, str]) -> Iterator[Case]:
    """Yield the cases of the network, and of the mean pose, in the pack's boxes, for each tested data set.

    Args:
        settings: the settings of the evaluation.
        estimator: the network.
        identity: digests that identify the network, see `Record.identity`.

    Raises:
        UserError: the pack has no people to test, or does not fit the settings.
    """
    skeleton, data = build_component("skeleton", settings.skeleton), settings.data
    pack = open_pack(Path(data.pack), skeleton)
    check_pack_settings(data, pack)
    manifest, of_val = pack.manifest, settings.split == "val"
    other = estimator.card.made_by.get("data") != manifest["digest"]
    notes = "trained on a pack other than the tested one" if other else ""
    training = build_data(settings, estimator.card.size_px).plain if len(pack.rows_of_split("train")) else {}
    if of_val and not training:
        raise UserError(f"split: {data.pack} has no training people, so none for validation")
    validating = training["val"].rows if of_val else np.array([], dtype=np.int64)
    names = _tested_set_names(settings, pack, validating)
    sources = {} if settings.zoom == 1 else _checked_sources(settings, pack, names)
    for name in names:
        if of_val:
            rows = validating[pack.people.set[validating] == name]
            people, count = pack.people.select_rows(rows), len(rows)
        else:
            rows, people = select_test_people(pack, name)
            count = manifest["sets"][name]["counts"]["annotated_test"]
        without_image = count - len(people.image)
        if data.subset is not None:
            rows = rows[: data.subset]
            people = people.select_rows(np.arange(len(rows)))
        truth = truth_of(people, skeleton, data.sides, data.use_occluded)
        rule = manifest["boxes"][name]["train" if of_val else "test"]
        zoom = "" if settings.zoom == 1 else f" x {settings.zoom:g}"
        part = "" if data.subset is None else f"only the first {len(rows)} people with a box (data.subset)"
        about: dict[str, Any] = {"truth": truth, "annotated": count, "without_image": without_image}
        own = {**identity, "data": manifest["digest"], "boxes": BOX_LABELS[rule] + zoom, "subset": str(data.subset)}
        given, progress = partial(estimate_in_given_boxes, estimator, pack, rows), settings.trainer.progress != "none"
        yield Case(
            method=settings.method or estimator.card.name,
            boxes=BOX_LABELS[rule] + zoom,
            estimate=partial(given, truth, settings.batch_size, settings.zoom, sources.get(name), progress),
            identity=own,
            notes="; ".join(note for note in (notes, part) if note),
            **about,
        )
        if not training:
            continue
        yield Case(
            method="mean pose",
            boxes=BOX_LABELS[rule],
            estimate=partial(_estimate_training_mean_pose, training["train"], pack, rows, truth),
            identity={**own, "method": "mean pose", "boxes": BOX_LABELS[rule]},
            notes=part,
            **about,
        )


def _estimate_training_mean_pose(training: PeopleDataset, pack: Pack, rows: np.ndarray, truth: Truth) -> Estimates:
    """Return the predictions of a method that puts the training people's mean pose into every box."""
    return estimate_mean_pose(training.mean_pose_px().numpy().astype(np.float64), pack, rows, truth)


def _tested_set_names(settings: EvaluateSettings, pack: Pack, val_rows: np.ndarray) -> list[str]:
    """Return the names of the pack's data sets whose people are evaluated. Raises UserError if there are none."""
    there, wanted = list(pack.manifest["sets"]), settings.data.test_sets
    names = there if wanted is None or settings.split == "val" else parse_set_names(wanted, "data.test_sets")
    held = set(pack.people.set[val_rows if settings.split == "val" else pack.rows_of_split("test")].tolist())
    found = [name for name in names if name in held]
    if not found:
        raise UserError(f"{settings.data.pack}: the pack has no {settings.split} people of {', '.join(names)}")
    return found


def _checked_sources(settings: EvaluateSettings, pack: Pack, names: list[str]) -> dict[str, Source]:
    """Return, by name, the sources of these data sets, from which the images are read.

    Raises:
        UserError: the settings do not name the source of a set, or its data are not those that the pack was made from.
    """
    found = {one.source.name: one.source for one in build_data_sets(settings.data)[0]}
    for name in names:
        if name not in found:
            raise UserError(f"zoom: {settings.zoom} needs the images of {name}; give their data.root")
        if found[name].fingerprint() != pack.manifest["sources"][name]:
            raise UserError(
                f"zoom: {settings.zoom} needs the images of {name}, but the pack {settings.data.pack} was "
                "prepared from others; give their data.root, or prepare them again"
            )
    return {name: found[name] for name in names}


def _cases_in_detected_boxes(
    settings: EvaluateSettings, estimator: Estimator, identity: dict[str, str]
) -> Iterator[Case]:
    """Yield, for each tested data set, the case of the network in the boxes of a person detector.

    Args:
        settings: the settings of the evaluation.
        estimator: the network.
        identity: digests that identify the network, see `Record.identity`.

    Raises:
        UserError: images are missing, or no person has a window with which detections could be matched.
    """
    data = settings.data
    for one in _tested_data_sets(settings):
        people = annotated_test_people(one)
        there = has_image(one.source, tuple(map(str, people.where)))
        if not there.all() and not data.allow_missing:
            raise UserError(
                f"{one.source.name}: the images of {int((~there).sum())} of {len(there)} test people are missing; add "
                "them, or go on without: data.allow_missing=true"
            )
        rows = np.flatnonzero(there)[: data.subset]
        truth = truth_of(
            people.select_rows(rows), build_component("skeleton", settings.skeleton), data.sides, data.use_occluded
        )
        if not np.isfinite(truth.window_px).all(1).any():
            raise UserError(f"{one.source.name}: no person has a window to match a detection with")
        factors = one.boxes.factors_from_window or IDENTITY_FACTORS
        across, up, down = factors
        detector = build_detector(settings.detector, factors)
        progress = settings.trainer.progress != "none"
        part = "" if data.subset is None else f"; only the first {len(rows)} people (data.subset)"
        yield Case(
            method=settings.method or estimator.card.name,
            boxes=_detector_name(settings),
            truth=truth,
            estimate=partial(
                estimate_in_detected_boxes,
                estimator,
                detector,
                one.source,
                truth,
                factors,
                settings.batch_size,
                progress,
            ),
            annotated=len(people.image),
            without_image=int((~there).sum()),
            identity={
                **identity,
                "data": one.source.fingerprint(),
                "boxes": digest_of([settings.detector, list(factors)]),
                "subset": str(data.subset),
            },
            notes=(f"windows scaled by {across:g}, {up:g}, {down:g}" if one.boxes.factors_from_window else NO_RULE)
            + part,
        )


def _detector_name(settings: EvaluateSettings) -> str:
    """Return the detector's name for tables: that of the file with its boxes, of its config file, or of its class."""
    file, target = settings.detector.get("file"), str(settings.detector["_target_"])
    return f"boxes of {Path(str(file)).name}" if file else str(settings.detector_name or target.rpartition(".")[2])


def _cases_of_predictions_file(settings: EvaluateSettings, path: Path) -> Iterator[Case]:
    """Yield the one case of a file with another method's predictions.

    Raises:
        UserError: there is no such file, or the settings name more than one data set.
    """
    check_exists(path)
    sets = _tested_data_sets(settings)
    if len(sets) > 1:
        raise UserError("predictions: must be for one set; name it, e.g. data=buffy")
    (one,) = sets
    people = annotated_test_people(one)
    sides, use_occluded = settings.data.sides, settings.data.use_occluded
    truth = truth_of(people, build_component("skeleton", settings.skeleton), sides, use_occluded)
    form = None if settings.predictions_form is None else build_component("predictions_form", settings.predictions_form)
    yield Case(
        method=settings.method or path.stem,
        boxes="its own",
        truth=truth,
        estimate=partial(_read_predictions, path, truth, form, one.source),
        annotated=len(truth),
        without_image=0,
        identity={
            "method": digest_of_file(path),
            "data": digest_of([truth.data, list(truth.locations)]),
            "boxes": "own",
        },
        notes="",
        find_warnings=lambda estimates: plausibility_warnings(
            truth, estimates, reference_of(one, people, truth, sides, use_occluded)
        ),
    )


def _read_predictions(path: Path, truth: Truth, reader: Reader | None, source: Source) -> Estimates:
    """Read the predictions of a file.

    A note in the result tells which joints this data set defines differently from other data sets.
    """
    found = read_predictions(path, truth, reader)
    given = [] if found.joints_px is None else np.isfinite(found.joints_px).all(-1).any(0)
    names = [joint for joint, known in zip(truth.skeleton.joints, given, strict=False) if known]
    meanings: Mapping[str, str] = getattr(source, "meanings", {})
    said = [f"{joint} is {meanings[joint]} here" for joint in names if joint in meanings]
    return replace(found, missing="; ".join(part for part in (found.missing, ", ".join(said)) if part))


def _tested_data_sets(settings: EvaluateSettings) -> list[DataSet]:
    """Return the data sets that the setting data.test_sets names; all configured ones if it is null."""
    found = build_data_sets(settings.data)[0]
    if settings.data.test_sets is None:
        return found
    names = parse_set_names(settings.data.test_sets, "data.test_sets")
    return [one for one in found if one.source.name in names]


def estimate_in_detected_boxes(
    estimator: Estimator,
    detector: Detector,
    source: Source,
    truth: Truth,
    box_factors: tuple[float, float, float],
    batch_size: int,
    progress: bool = True,
) -> Estimates:
    """Detect people in every image, and estimate the poses of those who are annotated.

    Detections are matched with annotated people by `detect.match.match_people`.

    Args:
        estimator: the network.
        detector: the person detector.
        source: reads the images.
        truth: the ground truth of the annotated people.
        box_factors: factors (across, up, down) from a detected window to the box that the network sees
            (`geometry.scale_box`).
        batch_size: the number of crops in a batch.
        progress: whether to show a progress bar.

    Raises:
        UserError: an image is missing or broken.
    """
    predictor = PosePredictor(detector, estimator, batch_size, box_factors)
    joints, confidence = np.full_like(truth.joints_px, np.nan), np.full(truth.joints_px.shape[:2], np.nan)
    detected = np.zeros(len(truth), dtype=bool)
    names = list(dict.fromkeys(truth.images))
    people_of = {name: [i for i, image in enumerate(truth.images) if image == name] for name in names}
    extra = 0
    with tqdm(total=len(names), unit="images", disable=None if progress else True) as bar:
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            images = [source.image(name) for name in chunk]
            found = [detector(image, name) for image, name in zip(images, chunk, strict=True)]
            matches = [_match_detections(one, truth, people_of[name]) for one, name in zip(found, chunk, strict=True)]
            extra += sum(len(one.scores) - len(set(own.values())) for one, own in zip(found, matches, strict=True))
            chosen = [_select_detections(one, list(own.values())) for one, own in zip(found, matches, strict=True)]
            poses = predictor.poses_of(images, chosen)
            for own, people in zip(matches, poses, strict=True):
                for person, pose in zip(own, people, strict=True):
                    joints[person], confidence[person], detected[person] = pose.joints_px, pose.confidence, True
            bar.update(len(chunk))
    known = np.isfinite(confidence).any()
    missing = f"{extra} windows match no person, in {len(names)} images"
    return estimates_from_joints(truth, joints, detected, confidence if known else None, missing)


def has_image(source: Source, locations: tuple[str, ...]) -> np.ndarray:
    """Return a mask of the test people whose image exists.

    Args:
        source: the data set.
        locations: (person,) as in `Truth.locations`.
    """
    missing = set(source.missing_images())
    lost = {annotation_place(person) for person in source.people() if person.image in missing}
    return np.array([where not in lost for where in locations])


def _match_detections(detections: Detections, truth: Truth, people_in_image: list[int]) -> dict[int, int]:
    """Match the detections of one image with its annotated people.

    Returns:
        The index of the detection for each detected person, by the person's index in `truth`.
    """
    matches = match_people(list(truth.window_px[people_in_image]), list(detections.windows_px))
    return {people_in_image[index]: box for index, box in matches.items()}


def _select_detections(detections: Detections, indices: list[int]) -> Detections:
    """Return only the detections with these indices, in this order."""
    return Detections(detections.windows_px[indices], detections.scores[indices])

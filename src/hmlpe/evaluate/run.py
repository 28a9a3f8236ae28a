"""One evaluation: people, estimates, protocols, records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.data.collection import sets_of
from hmlpe.data.pack import open_pack
from hmlpe.data.selection import DataSet, set_names
from hmlpe.errors import UserError
from hmlpe.evaluate.confidence import ranking
from hmlpe.evaluate.detected import in_detected_boxes, present
from hmlpe.evaluate.estimates import Estimates
from hmlpe.evaluate.network import check_skeleton, in_given_boxes, mean_pose, rows_of
from hmlpe.evaluate.protocols import Protocol, Scores
from hmlpe.evaluate.record import Numbers, Record, numbers
from hmlpe.evaluate.truth import Truth, annotated, truth_of
from hmlpe.files import digest_of, digest_of_file
from hmlpe.predict.estimator import Estimator
from hmlpe.predict.open import open_estimator
from hmlpe.training.build import check_settings

PEOPLE = ("whole", "detected")
ORACLES = {"window": "true window", "truth": "true joints"}


@dataclass(frozen=True, eq=False)
class Case:
    """One method on one set, not scored yet."""

    method: str
    boxes: str
    truth: Truth
    estimates: Estimates
    annotated: int
    without_image: int
    identity: dict[str, str]
    notes: str


def evaluate(config: DictConfig) -> Iterator[Record]:
    """Score what the configuration names, set by set.

    Raises:
        UserError: bad input.
    """
    validate(config)
    bootstrap = instantiate(config.bootstrap)
    protocols = [instantiate(one) for one in config.protocol.values()]
    chosen = people_of(config)
    for case in cases(config):
        everyone_found = bool(case.estimates.detected.all())
        for place, people in enumerate(chosen):
            if place and everyone_found:
                continue  # whole and detected are the same people
            own = [one for one in protocols if place == 0 or not one.looks_at_all]
            yield score(case, people, own, config, bootstrap)


def people_of(config: DictConfig) -> list[str]:
    """The words of the setting `people`, each once. Raises UserError if one is unknown."""
    words = [config.people] if isinstance(config.people, str) else list(config.people or [])
    if not words or not set(words) <= set(PEOPLE):
        raise UserError(f"people: must be {' or '.join(PEOPLE)}, or a list of both, got {config.people!r}")
    return list(dict.fromkeys(words))


def validate(config: DictConfig) -> None:
    """Raise UserError, naming the setting, if one cannot work."""
    if (config.checkpoint is None) == (config.predictions is None):
        raise UserError("give either checkpoint=PATH, a network, or predictions=FILE, another method's answers")
    if config.predictions is not None and config.get("detector") is not None:
        raise UserError("detector: is for a network; a predictions file brings its own people")
    people_of(config)
    if not config.get("protocol"):
        raise UserError("protocol: name at least one, e.g. protocol=[pcp_strict,pcp_official]")
    for name in ("batch_size", "bootstrap.draws"):
        value: Any = config.bootstrap.draws if "." in name else config.batch_size
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"{name}: must be a whole number of at least 1, got {value!r}")


def score(case: Case, people: str, protocols: list[Protocol], config: DictConfig, bootstrap: Any) -> Record:
    """The record of a case. Raises UserError if nobody counts."""
    truth, estimates = case.truth, case.estimates
    counted = np.ones(len(truth), dtype=bool) if people == "whole" else estimates.detected
    if not counted.any():
        raise UserError(f"{case.method}: nobody of {len(truth)} people is detected; there is nothing to score")
    scores: Scores = {}
    curves: dict[str, dict[str, Numbers]] = {}
    reasons: dict[str, str] = {}
    for protocol in protocols:
        reason = protocol.why_not(truth, estimates)
        if reason:
            reasons[protocol.name] = reason
            continue
        found, own = protocol.scores(truth, estimates, counted, bootstrap)
        scores |= found
        curves[protocol.name] = {group: numbers(curve) for group, curve in own.items()}
    return Record(
        method=case.method,
        data=truth.data,
        boxes=case.boxes,
        people=people,
        counted=int(counted.sum()),
        detected=int(estimates.detected.sum()),
        annotated=case.annotated,
        without_image=case.without_image,
        sides=config.data.sides,
        scores=numbers(scores),
        curves=curves,
        not_applicable=reasons,
        ranking=ranking(truth, estimates, counted, config.confidence.groups, config.confidence.at, bootstrap),
        notes="; ".join(note for note in (case.notes, estimates.missing) if note),
        identity=case.identity,
    )


def cases(config: DictConfig) -> Iterator[Case]:
    """What is to be scored: a network in the pack's boxes or in detected ones, or a predictions file."""
    if config.predictions is not None:
        yield from _of_file(config)
        return
    path = Path(config.checkpoint)
    estimator = _estimator(config, path)
    check_skeleton(estimator, instantiate(config.skeleton))
    identity = {"method": digest_of_file(path)}
    if config.get("detector") is None:
        yield from _in_pack(config, estimator, identity)
    else:
        yield from _in_images(config, estimator, identity)


def _estimator(config: DictConfig, path: Path) -> Estimator:
    if path.suffix == ".onnx":
        return open_estimator(path)
    import torch

    from hmlpe.deploy.checkpoint import CheckpointEstimator

    cuda = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    return CheckpointEstimator(path, "cuda" if cuda else "cpu", config.trainer.threads)


def _in_pack(config: DictConfig, estimator: Estimator, identity: dict[str, str]) -> Iterator[Case]:
    skeleton, data = instantiate(config.skeleton), config.data
    pack = open_pack(Path(data.pack), skeleton)
    check_settings(config, pack)
    manifest = pack.manifest
    wanted = list(manifest["sets"]) if data.test_sets is None else set_names(data.test_sets, "data.test_sets")
    other = estimator.card.made_by.get("data") != manifest["digest"]
    notes = f"{estimator.card.name} was trained on another pack than is tested" if other else ""
    tested = [name for name in wanted if name in manifest["sets"] and len(rows_of(pack, name)[0])]
    if not tested:
        raise UserError(f"{data.pack}: the pack has no test people of {', '.join(wanted)}")
    for name in tested:
        rows, people = rows_of(pack, name)
        rows = rows if data.subset is None else rows[: data.subset]
        people = people if data.subset is None else people.rows(np.arange(len(rows)))
        truth = truth_of(people, skeleton, data.sides, data.use_occluded)
        rule = manifest["boxes"][name]["test"]
        about = {
            "boxes": ORACLES.get(rule, "given"),
            "truth": truth,
            "annotated": manifest["sets"][name]["counts"]["annotated_test"],
            "without_image": manifest["sets"][name]["counts"]["annotated_test"] - len(truth),
        }
        own = {**identity, "data": manifest["digest"]}
        found = in_given_boxes(estimator, pack, rows, truth, config.batch_size, config.trainer.progress != "none")
        yield Case(config.method or estimator.card.name, estimates=found, identity=own, notes=notes, **about)
        mean = mean_pose(pack, name, rows, truth, data.sides, data.use_occluded)
        yield Case("mean pose", estimates=mean, identity={**own, "method": "mean pose"}, notes="", **about)


def _in_images(config: DictConfig, estimator: Estimator, identity: dict[str, str]) -> Iterator[Case]:
    detector, data = instantiate(config.detector), config.data
    for one in _tested(config):
        people = annotated(one)
        there = present(one.source, tuple(map(str, people.where)))
        if not there.all() and not data.allow_missing:
            raise UserError(
                f"{one.source.name}: the images of {int((~there).sum())} of {len(there)} test people are missing; add "
                "them, or go on without: data.allow_missing=true"
            )
        rows = np.flatnonzero(there)[: data.subset]
        truth = truth_of(people.rows(rows), instantiate(config.skeleton), data.sides, data.use_occluded)
        known = np.isfinite(truth.window_px).all(1)
        if not known.any():
            raise UserError(f"{one.source.name}: nobody has a window to tell whose detection it is")
        progress = config.trainer.progress != "none"
        found = in_detected_boxes(estimator, detector, one.source, truth, config.batch_size, progress)
        yield Case(
            method=config.method or estimator.card.name,
            boxes=HydraConfig.get().runtime.choices["detector"],
            truth=truth,
            estimates=found,
            annotated=len(people.image),
            without_image=int((~there).sum()),
            identity={**identity, "data": one.source.fingerprint()},
            notes="",
        )


def _of_file(config: DictConfig) -> Iterator[Case]:
    from hmlpe.evaluate.predictions import read_predictions

    path = Path(config.predictions)
    sets = _tested(config)
    if len(sets) > 1:
        raise UserError("predictions: are of one set; name it, e.g. data=buffy")
    (one,) = sets
    people = annotated(one)
    truth = truth_of(people, instantiate(config.skeleton), config.data.sides, config.data.use_occluded)
    form = None if config.get("predictions_form") is None else instantiate(config.predictions_form)
    estimates = read_predictions(path, truth, form)
    yield Case(
        method=config.method or path.stem,
        boxes="its own",
        truth=truth,
        estimates=estimates,
        annotated=len(truth),
        without_image=0,
        identity={"method": digest_of_file(path), "data": digest_of([truth.data, list(truth.wheres)])},
        notes="",
    )


def _tested(config: DictConfig) -> list[DataSet]:
    """The configured sets that are tested."""
    found = sets_of(config.data)[0]
    if config.data.test_sets is None:
        return found
    names = set_names(config.data.test_sets, "data.test_sets")
    return [one for one in found if one.source.name in names]

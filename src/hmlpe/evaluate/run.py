"""Run one evaluation: score each case by each protocol, and return the records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hmlpe.errors import UserError
from hmlpe.evaluate.cases import Case, cases_to_score
from hmlpe.evaluate.confidence import measure_configured_groups
from hmlpe.evaluate.people import Estimates
from hmlpe.evaluate.protocols import Protocol, Scores
from hmlpe.evaluate.record import Numbers, Record, scores_for_json
from hmlpe.evaluate.settings import EvaluateSettings, create_writable_folder, shared_settings_digests
from hmlpe.evaluate.write import check_record_fits
from hmlpe.runs.metric import MetricInfo
from hmlpe.settings import build_component
from hmlpe.training.devices import check_devices


def evaluate(settings: EvaluateSettings) -> Iterator[Record]:
    """Score what the settings name, one data set after another, and yield the records.

    Raises:
        UserError: the input is not valid. If a record would not fit the records in its folder, this is raised before
            anything is scored.
    """
    check_devices(settings.trainer, settings.optim.batch_size)
    create_writable_folder(Path(settings.out))
    bootstrap = build_component("bootstrap", settings.tree["bootstrap"])
    protocols = [build_component(f"protocol.{name}", one) for name, one in settings.protocol.items()]
    chosen = settings.chosen_people
    found = list(cases_to_score(settings))
    for case in found:
        for people in chosen:
            draft = record_without_scores(case, people, settings)
            check_record_fits(Path(settings.out) / draft.data, draft, settings.overwrite)
    for case in found:
        estimates = case.estimate()
        detected = int(estimates.detected.sum())
        for place, people in enumerate(chosen):
            if place and people == "detected" and detected in (0, len(case.truth)):
                continue  # nobody to score, or the same people as in the record of all people
            yield score_case(case, estimates, people, protocols, settings, bootstrap)


def record_without_scores(case: Case, people: str, settings: EvaluateSettings) -> Record:
    """Return the record of a case as it is before scoring: with its settings and identity, without scores.

    Args:
        case: the case.
        people: who counts: whole or detected.
        settings: the settings of the evaluation.
    """
    name = case.truth.data
    return Record(
        method=case.method,
        data=name if settings.split == "test" else f"{name}_{settings.split}",
        boxes=case.boxes,
        people=people,
        counted=0,
        detected=0,
        annotated=case.annotated,
        without_image=case.without_image,
        sides=settings.data.sides,
        scores={},
        curves={},
        not_applicable={},
        ranking={},
        notes=case.notes,
        identity=case.identity,
        settings=shared_settings_digests(settings),
    )


def score_case(
    case: Case, estimates: Estimates, people: str, protocols: list[Protocol], settings: EvaluateSettings, bootstrap: Any
) -> Record:
    """Score a case, and return its record.

    Args:
        case: the case.
        estimates: the method's predictions.
        people: who counts: whole (all people) or detected.
        protocols: the protocols to apply; those that do not apply are in the record with the reason.
        settings: the settings of the evaluation.
        bootstrap: a `Bootstrap`, which draws the samples for the intervals.

    Raises:
        UserError: nobody counts, or the ground truth of all people who count is unknown.
    """
    truth = case.truth
    counted = np.ones(len(truth), dtype=bool) if people == "whole" else estimates.detected
    if not counted.any():
        raise UserError(f"{case.method}: none of {len(truth)} people is detected; there is nothing to score")
    known = counted & truth.has_annotation
    if not known.any():
        raise UserError(f"{case.method}: none of {counted.sum()} people has a known joint; there is nothing to score")
    lost = int((counted & ~known).sum())
    unknown = f"{lost} of {counted.sum()} people have no known joint and count in no PDJ or PCP" if lost else ""
    scores: Scores = {}
    curves: dict[str, dict[str, Numbers]] = {}
    reasons: dict[str, str] = {}
    infos: dict[str, MetricInfo] = {}
    for protocol in protocols:
        reason = protocol.why_not(truth, estimates) if estimates.detected.any() else "nobody is found"
        if protocol.counts_everyone and people == "detected":
            reason = "it always counts all people: people=whole"
        if reason:
            reasons[protocol.name] = reason
            continue
        reasons |= {f"{protocol.name} {group}": why for group, why in protocol.groups_without_score(truth).items()}
        found = protocol.scores(truth, estimates, counted, bootstrap)
        scores |= found.scores
        infos |= found.infos
        curves[protocol.name] = {group: scores_for_json(curve) for group, curve in found.curves.items()}
    ranked, unranked = measure_configured_groups(truth, estimates, counted, settings.confidence, bootstrap)
    return replace(
        record_without_scores(case, people, settings),
        counted=int(counted.sum()),
        detected=int(estimates.detected.sum()),
        scores=scores_for_json(scores),
        curves=curves,
        described={name: info.model_dump(mode="json", exclude_defaults=True) for name, info in infos.items()},
        axes={protocol.name: list(protocol.axes) for protocol in protocols if protocol.name in curves},
        not_applicable=reasons | unranked,
        ranking=ranked,
        notes="; ".join(note for note in (case.notes, estimates.missing, unknown) if note),
        warnings=[] if case.find_warnings is None else case.find_warnings(estimates),
    )

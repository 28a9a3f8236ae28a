"""One evaluation: cases, protocols, records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.errors import UserError
from hmlpe.evaluate.cases import Case, cases
from hmlpe.evaluate.confidence import ranking_of
from hmlpe.evaluate.estimates import Estimates
from hmlpe.evaluate.protocols import Protocol, Scores
from hmlpe.evaluate.record import Numbers, Record, numbers
from hmlpe.evaluate.settings import people_of, settings_of, validate
from hmlpe.evaluate.write import check_place
from hmlpe.runs.metric import MetricInfo


def evaluate(config: DictConfig) -> Iterator[Record]:
    """Score what the configuration names, set by set.

    Raises:
        UserError: bad input. That a record could not stand in its folder is said before anything is scored.
    """
    validate(config)
    bootstrap = instantiate(config.bootstrap)
    protocols = [instantiate(one) for one in config.protocol.values()]
    chosen = people_of(config)
    found = list(cases(config))
    for case in found:
        for people in chosen:
            draft = record_of(case, people, config)
            check_place(Path(config.out) / draft.data, draft, config.overwrite)
    for case in found:
        estimates = case.estimate()
        detected = int(estimates.detected.sum())
        for place, people in enumerate(chosen):
            if place and people == "detected" and detected in (0, len(case.truth)):
                continue  # nobody to score, or the same people as the whole
            yield score(case, estimates, people, protocols, config, bootstrap)


def record_of(case: Case, people: str, config: DictConfig) -> Record:
    """The record of a case without its numbers."""
    name = case.truth.data
    return Record(
        method=case.method,
        data=name if config.split == "test" else f"{name}_{config.split}",
        boxes=case.boxes,
        people=people,
        counted=0,
        detected=0,
        annotated=case.annotated,
        without_image=case.without_image,
        sides=config.data.sides,
        scores={},
        curves={},
        not_applicable={},
        ranking={},
        notes=case.notes,
        identity=case.identity,
        settings=settings_of(config),
    )


def score(
    case: Case, estimates: Estimates, people: str, protocols: list[Protocol], config: DictConfig, bootstrap: Any
) -> Record:
    """The record of a case. Raises UserError if nobody counts, or nothing is known of those who do."""
    truth = case.truth
    counted = np.ones(len(truth), dtype=bool) if people == "whole" else estimates.detected
    if not counted.any():
        raise UserError(f"{case.method}: nobody of {len(truth)} people is detected; there is nothing to score")
    known = counted & truth.known
    if not known.any():
        raise UserError(f"{case.method}: of none of {counted.sum()} people is a joint known; there is nothing to score")
    lost = int((counted & ~known).sum())
    unknown = f"of {lost} of {counted.sum()} people no joint is known, and they count in no PDJ or PCP" if lost else ""
    scores: Scores = {}
    curves: dict[str, dict[str, Numbers]] = {}
    reasons: dict[str, str] = {}
    infos: dict[str, MetricInfo] = {}
    for protocol in protocols:
        reason = protocol.why_not(truth, estimates) if estimates.detected.any() else "nobody is found"
        if protocol.looks_at_all and people == "detected":
            reason = "it looks at all people by itself: people=whole"
        if reason:
            reasons[protocol.name] = reason
            continue
        reasons |= {f"{protocol.name} {group}": why for group, why in protocol.unknown(truth).items()}
        found = protocol.scores(truth, estimates, counted, bootstrap)
        scores |= found.scores
        infos |= found.infos
        curves[protocol.name] = {group: numbers(curve) for group, curve in found.curves.items()}
    ranked, unranked = ranking_of(truth, estimates, counted, config.confidence, bootstrap)
    return replace(
        record_of(case, people, config),
        counted=int(counted.sum()),
        detected=int(estimates.detected.sum()),
        scores=numbers(scores),
        curves=curves,
        described={name: info.model_dump(mode="json", exclude_defaults=True) for name, info in infos.items()},
        axes={protocol.name: list(protocol.axes) for protocol in protocols if protocol.name in curves},
        not_applicable=reasons | unranked,
        ranking=ranked,
        notes="; ".join(note for note in (case.notes, estimates.missing, unknown) if note),
        warnings=[] if case.doubts is None else case.doubts(estimates),
    )

"""One evaluation: cases, protocols, records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.errors import UserError
from hmlpe.evaluate.cases import Case, cases
from hmlpe.evaluate.confidence import ranking
from hmlpe.evaluate.protocols import Protocol, Scores
from hmlpe.evaluate.record import Numbers, Record, numbers
from hmlpe.evaluate.settings import people_of, settings_of, validate


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
        found = int(case.estimates.detected.sum())
        for place, people in enumerate(chosen):
            if place and people == "detected" and found in (0, len(case.truth)):
                continue  # nobody to score, or the same people as the whole
            yield score(case, people, protocols, config, bootstrap)


def score(case: Case, people: str, protocols: list[Protocol], config: DictConfig, bootstrap: Any) -> Record:
    """The record of a case. Raises UserError if nobody counts, or nothing is known of them."""
    truth, estimates = case.truth, case.estimates
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
    for protocol in protocols:
        reason = protocol.why_not(truth, estimates)
        if protocol.looks_at_all and people == "detected":
            reason = "it looks at all people by itself: people=whole"
        if reason:
            reasons[protocol.name] = reason
            continue
        reasons |= {f"{protocol.name} {group}": why for group, why in protocol.unknown(truth).items()}
        found, own = protocol.scores(truth, estimates, counted, bootstrap)
        scores |= found
        curves[protocol.name] = {group: numbers(curve) for group, curve in own.items()}
    return Record(
        method=case.method,
        data=truth.data if config.split == "test" else f"{truth.data}_{config.split}",
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
        notes="; ".join(note for note in (case.notes, estimates.missing, unknown) if note),
        identity=case.identity,
        settings=settings_of(config),
    )

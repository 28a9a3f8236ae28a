"""The study's table in W&B, a line per run; it is stored in a W&B run with a fixed id, so a later call replaces it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hmlpe.dashboard.study import Study
from hmlpe.files import digest_of
from hmlpe.report.columns import columns_of
from hmlpe.tracking.load import load_wandb

TABLE, JOB = "study", "summary"  # the table's key, and the W&B job type of the run that contains it
_FACTS = ("epochs", "steps", "best_epoch", "seconds", "checkpoint_rule", "error")


def table_rows(study: Study) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns, and the cells of a line for each run.

    Columns are row, seed, status, the tasks' weights, the metrics (None if a run lacks one), and facts about the run.
    """
    keys = [column.key for column in columns_of(study.runs)]
    header = ["row", "seed", "status", *(f"weight_{task}" for task in study.tasks), *keys, *_FACTS, "code"]
    lines = []
    for run in study.runs:
        numbers = [run.metrics.get(key) for key in keys]
        weights = [run.weights.get(task) for task in study.tasks]
        facts = [run.rule if key == "checkpoint_rule" else getattr(run.result, key) for key in _FACTS]
        lines.append([run.row, run.seed, run.status, *weights, *numbers, *facts, run.provenance.get("git_revision")])
    return header, lines


def send_table(study: Study, folder: Path, project: str, entity: str | None, mode: str) -> Path:
    """Log the study's table in a W&B run of its own, and return the folder of that run's files.

    Args:
        study: the study.
        folder: the folder in which W&B writes the run.
        project: the W&B project.
        entity: the W&B user or team; None: the default of the key.
        mode: "online" to send the run to W&B, "offline" to write it only.

    Raises:
        Exception: whatever W&B raises.
    """
    wandb = load_wandb()
    name = f"summary-{digest_of([project, study.name])}"
    header, lines = table_rows(study)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"wandb/offline-run-*-{name}"):
        shutil.rmtree(old)
    run = wandb.init(
        entity=entity,
        project=project,
        id=name,
        name=f"{study.name} · table",
        group=study.name,
        job_type=JOB,
        dir=folder,
        mode="online" if mode == "online" else "offline",
        settings=wandb.Settings(silent=True, init_timeout=60),
        resume="allow" if mode == "online" else None,
    )
    try:
        run.log({TABLE: wandb.Table(columns=[*header], data=_with_one_type_per_column(lines))})
    finally:
        run.finish()
    return Path(run.dir).parent


def _with_one_type_per_column(lines: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Convert numbers to float, except the seed, as a column of a W&B table has one type."""
    return [[float(cell) if isinstance(cell, int) and place > 1 else cell for place, cell in enumerate(line)]
            for line in lines]  # fmt: skip

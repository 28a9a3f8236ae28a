"""W&B as a mirror of the CSV: it may be away, refuse us or die, and the run goes on without."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lightning.pytorch.loggers import WandbLogger

from hmlpe.runs.metric import MetricInfo, info_of, split_of
from hmlpe.tracking.load import load_wandb

log = logging.getLogger(__name__)

STEP = "trainer/global_step"  # the axis of all that is logged while a run trains; Lightning's name
THRESHOLD = "curve/threshold"  # the axis of curves over thresholds
SUMMARY = {"low": "min,last", "high": "max,last", None: "last"}


class Mirror(WandbLogger):
    """A WandbLogger whose first failure is one warning and its end; what it has written by then stays.

    Args:
        infos: what the run's metrics are.
        options: WandbLogger's.

    Attributes:
        failure: the first, in one line; empty: none so far.
    """

    def __init__(self, infos: Mapping[str, MetricInfo], **options: Any) -> None:
        super().__init__(resume=None, **options)
        self._wandb_init.pop("anonymous", None)  # Lightning hands it on, and W&B then warns that it has no effect
        self.infos, self.failure = infos, ""
        self.defined: set[str] = set()
        self.curves: dict[str, dict[float, float]] = {}

    @property
    def broken(self) -> bool:
        """Whether it has failed."""
        return bool(self.failure)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log them, each with its own axis and the summary (min or max) that the table of names gives it."""
        self.attempt(lambda: self._log(metrics, step))

    def _log(self, metrics: Mapping[str, float], step: int | None) -> None:
        for name in metrics.keys() - self.defined:
            info = info_of(self.infos, name)
            if info:
                self.experiment.define_metric(name, step_metric=STEP, summary=SUMMARY[info.better])
        self.defined |= metrics.keys()
        super().log_metrics(dict(metrics), step)
        for name, value in metrics.items():
            info = info_of(self.infos, name)
            if info and info.curve and split_of(name).startswith("test"):
                curve, threshold = info.curve
                self.curves.setdefault(f"curve/{split_of(name)}/{curve}", {})[threshold] = float(value)

    def log_picture(self, name: str, picture: UInt8[np.ndarray, "height width 3"], step: int) -> None:
        """Log a picture, which is written beside the run's W&B file."""

        def add() -> None:
            self.experiment.log({name: load_wandb().Image(picture), STEP: step})

        self.attempt(add)

    def log_files(self, kind: str, *paths: Path) -> None:
        """Log files, none of which will change, as one artifact."""

        def add() -> None:
            artifact = load_wandb().Artifact(f"{kind}-{self.experiment.id}", kind)
            for path in paths:
                artifact.add_file(str(path), policy="immutable")  # not copied into the home folder
            self.experiment.log_artifact(artifact)

        self.attempt(add)

    def finish(self, exit_code: int) -> None:
        """End the run; its curves over thresholds, which have an axis of their own, come last."""
        self.attempt(self._log_curves)
        self.attempt(lambda: self.experiment.finish(exit_code=exit_code))

    def _log_curves(self) -> None:
        for name in self.curves:
            self.experiment.define_metric(name, step_metric=THRESHOLD)
        for threshold in sorted({threshold for curve in self.curves.values() for threshold in curve}):
            row = {name: curve[threshold] for name, curve in self.curves.items() if threshold in curve}
            self.experiment.log({THRESHOLD: threshold, **row})

    def attempt(self, action: Callable[[], object]) -> bool:
        """Do it, unless something failed before. Returns whether it is done."""
        if self.broken:
            return False
        try:
            action()
        except Exception as error:  # whatever it is, the run does not need it
            self.failure = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            self._let_go()
            log.warning(
                "W&B is given up (%s); training goes on, the CSV has all; wandb sync sends what W&B had written to %s",
                self.failure,
                Path(str(self.save_dir)) / "wandb",
            )
        return not self.broken

    def _let_go(self) -> None:
        """End W&B's own service without a word; else it speaks at the program's end. The next run gets its own."""
        with suppress(Exception, SystemExit):  # it would end the program with its service's exit code
            wandb = load_wandb()
            wandb.run = None  # type: ignore[attr-defined]  # else the next logger of this process goes on with this run
            wandb.teardown(exit_code=1)

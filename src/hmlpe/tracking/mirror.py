"""Mirror the CSV log in W&B. If W&B is unreachable, refuses or fails, the run continues without it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from lightning.pytorch.loggers import WandbLogger

from hmlpe.runs.metric import MetricInfo, find_metric_info, metric_split
from hmlpe.tracking.load import load_wandb

log = logging.getLogger(__name__)

STEP_AXIS = "trainer/global_step"  # the axis of everything logged during training; Lightning's name
THRESHOLD_AXIS = "curve/threshold"  # the axis of curves over thresholds
SUMMARIES = {"low": "min,last", "high": "max,last", None: "last"}


class WandbMirror(WandbLogger):
    """A WandbLogger that stops after its first failure, with one warning; what it has written by then stays.

    Args:
        infos: descriptions of the run's metrics.
        options: further arguments of WandbLogger.

    Attributes:
        failure: the first failure, in one line; empty if there has been none.
    """

    def __init__(self, infos: Mapping[str, MetricInfo], **options: Any) -> None:
        super().__init__(resume=None, **options)
        self._wandb_init.pop("anonymous", None)  # Lightning passes it on, and W&B warns that it has no effect
        self.infos, self.failure = infos, ""
        self.defined: set[str] = set()
        self.curves: dict[str, dict[float, float]] = {}

    @property
    def broken(self) -> bool:
        """Return whether logging to W&B has failed; then nothing more is logged."""
        return bool(self.failure)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics, each with its axis and with the summary (min or max) that follows from its description."""
        self.attempt(lambda: self._log_metrics(metrics, step))

    def _log_metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Define the axis and summary of new metrics, log all, and keep the points of curves over thresholds."""
        for name in metrics.keys() - self.defined:
            info = find_metric_info(self.infos, name)
            if info:
                self.experiment.define_metric(name, step_metric=STEP_AXIS, summary=SUMMARIES[info.better])
        self.defined |= metrics.keys()
        super().log_metrics(dict(metrics), step)
        for name, value in metrics.items():
            info = find_metric_info(self.infos, name)
            if info and info.curve and metric_split(name).startswith("test"):
                curve, threshold = info.curve
                self.curves.setdefault(f"curve/{metric_split(name)}/{curve}", {})[threshold] = float(value)

    def log_picture(self, name: str, picture: UInt8[np.ndarray, "height width 3"], step: int) -> None:
        """Log an RGB picture of the training step `step` under this name."""

        def log_image() -> None:
            self.experiment.log({name: load_wandb().Image(picture), STEP_AXIS: step})

        self.attempt(log_image)

    def log_files(self, kind: str, *paths: Path) -> None:
        """Log files, which must not change afterwards, as one W&B artifact of the type `kind`."""

        def log_artifact() -> None:
            artifact = load_wandb().Artifact(f"{kind}-{self.experiment.id}", kind)
            for path in paths:
                artifact.add_file(str(path), policy="immutable")  # so that W&B does not copy it into the home folder
            self.experiment.log_artifact(artifact)

        self.attempt(log_artifact)

    def finish(self, exit_code: int) -> None:
        """Log the curves over thresholds, which have an axis of their own, and end the run."""
        self.attempt(self._log_curves)
        self.attempt(lambda: self.experiment.finish(exit_code=exit_code))

    def _log_curves(self) -> None:
        """Log the curves over thresholds, with the threshold as their axis."""
        for name in self.curves:
            self.experiment.define_metric(name, step_metric=THRESHOLD_AXIS)
        for threshold in sorted({threshold for curve in self.curves.values() for threshold in curve}):
            row = {name: curve[threshold] for name, curve in self.curves.items() if threshold in curve}
            self.experiment.log({THRESHOLD_AXIS: threshold, **row})

    def attempt(self, action: Callable[[], object]) -> bool:
        """Call `action`, unless the logger has failed before. Return whether it succeeded."""
        if self.broken:
            return False
        try:
            action()
        except Exception as error:  # whatever fails, the run does not need W&B
            self.failure = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            self._stop_service()
            log.warning(
                "giving up on W&B (%s); training goes on, the CSV has it all; wandb sync sends what W&B wrote to %s",
                self.failure,
                Path(str(self.save_dir)) / "wandb",
            )
        return not self.broken

    def _stop_service(self) -> None:
        """End W&B's service silently, as it would otherwise print at the program's end; the next run starts its own."""
        with suppress(Exception, SystemExit):  # W&B would end the program with its service's exit code
            wandb = load_wandb()
            wandb.run = None  # type: ignore[attr-defined]  # else the next logger of this process continues this run
            wandb.teardown(exit_code=1)

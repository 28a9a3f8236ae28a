"""The settings of a run. Settings that cannot work are rejected before anything is read or written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hmlpe.errors import UserError
from hmlpe.row_name import check_row_name
from hmlpe.settings import Component, DataSettings, Name, NonNegativeInt, PositiveInt, Settings, Text

LARGEST_SEED = 2**32 - 1  # NumPy's
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class RowSettings(Settings):
    """The settings of a row, i.e. of one configuration of the study."""

    name: Name
    weights: Annotated[dict[str, Any], Field(description="weights by task name")]  # a balance checks each


class StepSettings(Settings):
    """The part of the recipe that a LightningModule needs: weight initialisation, optimiser and schedule."""

    init: Component
    optimizer: Component
    groups: Component
    scheduler: Component | None


class OptimSettings(StepSettings):
    """The settings of the training recipe."""

    name: Name
    batch_size: PositiveInt
    start_at_mean: bool
    gradient_clip: Annotated[float, Field(ge=0)] | None


class TrainerSettings(Settings, extra="forbid"):
    """The settings of the trainer: devices and precision, and how progress is shown."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    devices: PositiveInt | Literal["auto"]
    precision: Literal["auto", "32-true", "bf16-mixed"]
    threads: PositiveInt | None
    workers: NonNegativeInt
    progress: Literal["auto", "bar", "lines", "none"]
    log_every_n_steps: NonNegativeInt


class LoggerSettings(Settings, extra="forbid"):
    """The settings of the loggers: what is logged, and how W&B mirrors it."""

    name: Literal["csv", "wandb"]
    gradients_every_n_steps: PositiveInt | None
    media_every_epochs: PositiveInt | None
    mode: Literal["online", "offline", "disabled"]
    project: Name
    timeout_s: PositiveInt
    entity: Name | None


class SweepSettings(Settings, extra="forbid"):
    """The settings of a sweep: what it does about results that already exist."""

    redo: Literal["missing", "stale"]
    dry_run: bool


class ModelSettings(Settings):
    """The settings from which a LightningModule is built."""

    seed: Seed
    row: RowSettings
    tasks: dict[str, Component]
    metrics: dict[str, dict[str, Component] | None]
    balance: Component
    network: Component
    optim: StepSettings

    @property
    def weights(self) -> dict[str, Any]:
        """Return the row's weight of every task as it was given, and 0 for tasks that the row does not name."""
        weights = self.row.weights
        return weights | {name: 0 for name in self.tasks if name not in weights}

    @property
    def balance_config(self) -> Component:
        """Return the config of the loss balancing method, with `weights`: the row's loss weight of each task."""
        return {key: value for key, value in self.balance.items() if key != "name"} | {"weights": self.weights}

    def check_all(self) -> None:
        """Raise UserError if the row has a weight for a task that does not exist."""
        unknown = [task for task in self.row.weights if task not in self.tasks]
        if unknown:
            raise UserError(f"row.weights.{unknown[0]}: there is no such task; there are {', '.join(self.tasks)}")


class TrainSettings(ModelSettings):
    """All settings of a run, as in conf/train.yaml, which explains them."""

    optim: OptimSettings
    study: Name
    folder: Text
    size_px: PositiveInt
    epochs: PositiveInt
    select: Literal["best", "last"]
    keep_epochs: Annotated[list[PositiveInt], Field(description="a list of epoch numbers, e.g. [5,30]")]
    init_from: Text | None
    heads: Literal["keep", "renew"]
    varies: Annotated[
        list[Literal["init_from", "heads", "epochs"]],  # settings that the table shows if rows differ in them
        Field(description="a list of some of init_from, heads, epochs"),
    ]
    stages: Annotated[list[Name] | None, Field(description="a list of experiments, or null")]
    fit: bool
    overwrite: bool
    objective: Text
    sweep: SweepSettings
    data: DataSettings
    skeleton: Component
    windows: Component
    augment: Component
    trainer: TrainerSettings
    logger: LoggerSettings
    network_name: Name

    def check_all(self) -> None:
        """Raise UserError, naming a setting, if some settings do not fit each other."""
        super().check_all()
        if "checkpoint" in self.tree and "checkpoint" not in type(self).model_fields:
            raise UserError("checkpoint: this setting is called init_from (the weights that training starts from)")
        check_row_name(self.row.name, self.seed)
        if self.size_px > self.data.crop_px:
            raise UserError(
                f"size_px: {self.size_px} is larger than the pack's crops (data.crop_px: {self.data.crop_px})"
            )
        if max(self.keep_epochs, default=0) > self.epochs:
            raise UserError(f"keep_epochs: {max(self.keep_epochs)} is beyond the {self.epochs} epochs of the run")
        split, _, metric = self.objective.partition("/")
        if split not in ("train", "val") or not metric:
            raise UserError(f"objective: must be val/<metric> or train/<metric> (never test), got {self.objective!r}")
        if metric.endswith("_error") and metric.removesuffix("_error") not in self.tasks:
            raise UserError(f"objective: {self.objective!r}: no such task; there are {', '.join(self.tasks)}")
        if not self.fit and self.init_from is None:
            raise UserError("fit: false needs init_from=PATH, the weights to evaluate")

"""Train, choose the checkpoint, and evaluate it on every split: scores, and what it says of each test person."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar
from lightning.pytorch.loggers import Logger
from torch import Tensor

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.dataset import Sample
from hmlpe.data.pack import Columns
from hmlpe.errors import UserError
from hmlpe.metrics import Rows
from hmlpe.runs.folder import CHOSEN
from hmlpe.runs.people import ERRORS, People, people_file, write_people
from hmlpe.runs.result import other_rule_than, rule_text
from hmlpe.settings import make
from hmlpe.tasks import Task
from hmlpe.training.build import mean_pose_metrics, start_from_statistics
from hmlpe.training.callbacks import progress
from hmlpe.training.checkpoint import Keeper, KeptEpochs, ResumeCheckpoint, base_of, epoch_of, keepers, state_to_resume
from hmlpe.training.described import counted, described
from hmlpe.training.logs import finish, loggers, mirror_lost, watchers
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import OwnSignals, from_first, is_first, place, trainer_options
from hmlpe.training.settings import TrainSettings
from hmlpe.training.weights import load_weights

Metrics = dict[str, dict[str, float | None]]
"""By split and name; None where there was nothing to measure."""


class Evaluation(NamedTuple):
    """What one checkpoint scores, and what it says of each test person (`EachPerson.found`)."""

    metrics: Metrics
    people: dict[str, Tensor]


def both_rules(
    settings: TrainSettings,
    trainer: L.Trainer,
    model: MultiTaskPose,
    data: PoseDataModule,
    kept: Mapping[str, Keeper],
    each: EachPerson,
) -> dict[str, Evaluation]:
    """What the checkpoints of both rules score; that of the other rule first and unlogged, so that nobody mixes them.

    Args:
        model: as the last epoch left it.
        kept: see `keepers`.
    """
    found, loggers, skeleton = {}, trainer.loggers, make("skeleton", settings.skeleton)
    for rule in (other_rule_than(settings.select), settings.select):
        if rule in kept:
            load_weights(model, kept[rule].path, skeleton)
        trainer.loggers = loggers if rule == settings.select else []
        # The logs have the curve of the validation numbers, in which this checkpoint's would be one more epoch.
        found[rule] = Evaluation(evaluate_all(trainer, model, data, unlogged=("val",)), each.found)
    return found


def evaluate_all(
    trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, unlogged: Collection[str] = ()
) -> Metrics:
    """`evaluate` of every split, and the average of the tested sets, where there are several.

    Args:
        unlogged: splits whose numbers go into no log.
    """
    loggers, found = trainer.loggers, {}
    for split in data.plain:
        trainer.loggers = [] if split in unlogged else loggers
        found[split] = evaluate(trainer, model, data, split)
    trainer.loggers = loggers
    return with_average(found, data)


def with_average(splits: Metrics, data: PoseDataModule) -> Metrics:
    """And `test_average`, see `average`, where several sets are tested."""
    sets = [splits[name] for name in data.test_splits]
    return splits | ({"test_average": average(sets)} if sets else {})


def average(splits: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean over sets, each counting once, of every metric that all of them have."""
    shared = {key for key in splits[0] if all(split.get(key) is not None for split in splits)}
    return {key: sum(split[key] or 0.0 for split in splits) / len(splits) for key in sorted(shared)}


def evaluate(trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, split: str) -> dict[str, float | None]:
    """Errors and metrics of a split, in evaluation mode, by the test-crop rule."""
    model.split = split
    found = trainer.test(model, data.evaluation_loader(split), verbose=False)[0]
    return clean({key.removeprefix(f"{split}/"): value for key, value in found.items()})


def clean(values: Any) -> dict[str, float | None]:
    """Plain floats; None where nothing was to be measured, as JSON has no NaN."""
    return {key: float(value) if math.isfinite(value) else None for key, value in sorted(values.items())}


SPLIT = "test"


class EachPerson(Callback):
    """Collects what an evaluation of the test people finds of each, on all processes.

    Attributes:
        found: of the last evaluation, by the names of `MultiTaskPose.validation_step` and `row`; the same everywhere.
    """

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}
        self.rows: Rows | None = None

    def on_test_batch_end(  # type: ignore[override]  # the outputs are those of test_step
        self, trainer: L.Trainer, pl_module: MultiTaskPose, outputs: dict[str, Tensor], batch: Sample, *number: Any
    ) -> None:
        """Add a batch, if it is of the test people."""
        if pl_module.split != SPLIT:
            return
        if self.rows is None:
            self.rows = Rows(list(outputs)).to(pl_module.device)
        self.rows.update(batch["row"], **outputs)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather them."""
        if self.rows is not None:
            self.found, self.rows = {name: value.cpu() for name, value in self.rows.compute().items()}, None


def people_of(found: Mapping[str, Tensor], tasks: Iterable[Task], everyone: Columns) -> People:
    """What the run's people file keeps.

    Args:
        found: see `EachPerson`.
        tasks: that were trained.
        everyone: of the whole pack.
    """
    index = found["row"].numpy()
    arrays = {name: found[name].numpy() for name in ("truth_crop_px", "truth_px", "torso_px", "box_px")}
    arrays |= {name: value.float().numpy() for name, value in found.items() if name.startswith(ERRORS)}
    for task in tasks:
        arrays |= task.kept(found)
    return People(index, names_of(everyone)[index], everyone.resampling_groups[index], arrays)


def names_of(people: Columns) -> np.ndarray:
    """(person,) where each is annotated, with the names of set and image: the same in all packs of these people."""
    return np.strings.add(np.strings.add(people.image_ids, " "), people.where)


def fit_and_evaluate(
    settings: TrainSettings, folder: Path, data: PoseDataModule, model: MultiTaskPose, precision: str, name: str
) -> dict[str, Any]:
    """Train, choose the checkpoint, then read train, validation and (once) test people."""
    start_from_statistics(model, data, settings.optim.start_at_mean)
    if settings.checkpoint is not None:
        start = load_weights(model, Path(settings.checkpoint), make("skeleton", settings.skeleton), settings.heads)
        model.steps_before = int(start.get("steps", 0))
    checkpoints = folder / "checkpoints"
    kept = keepers(checkpoints, settings.select, model.balance.active)
    files = [keeper.path for keeper in kept.values()]
    for_good = KeptEpochs(checkpoints, settings.keep_epochs)
    each = EachPerson()
    watching: list[Callback] = []
    active: list[Logger] = []
    if is_first():
        watching = [LearningRateMonitor("step"), *progress(name, settings.trainer.progress)]
        active = loggers(settings, folder, described(model))
    watching += watchers(settings.logger, folder, active)
    if place()[1] > 1:
        watching.append(OwnSignals())
    exit_code = 1
    try:
        trainer = L.Trainer(
            **trainer_options(settings.trainer),
            precision=precision,  # type: ignore[arg-type]  # checked by Lightning
            max_epochs=settings.epochs,
            callbacks=[*kept.values(), ResumeCheckpoint(checkpoints), for_good, each, *watching],
            logger=active,
            default_root_dir=folder,  # in which Lightning looks, under SLURM, for a state of its own to go on from
            log_every_n_steps=settings.trainer.log_every_n_steps,
            gradient_clip_val=settings.optim.gradient_clip,
            num_sanity_val_steps=0,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in watching),
            enable_model_summary=False,
            use_distributed_sampler=False,
            deterministic=True,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")  # measured: loading is hidden without
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # resuming is meant
            warnings.filterwarnings("ignore", "The number of training batches")  # few people: all epochs are logged
            warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 with torch 2.13
            warnings.filterwarnings("ignore", ".*sync_dist=True.*")  # what is logged is of all processes already
            if settings.fit:
                path = from_first(lambda: state_to_resume(checkpoints, files, name))
                trainer.fit(model, data, ckpt_path=path, weights_only=True)
            found = both_rules(settings, trainer, model, data, kept, each) if settings.fit else {}
            metrics = found[settings.select].metrics if found else evaluate_all(trainer, model, data)
        check_finite(metrics, model, data, name)
        exit_code = 0
    finally:
        finish(active, exit_code)
    if is_first():
        for rule, evaluation in found.items():
            trained = [model.tasks[task] for task in model.balance.active]
            write_people(people_file(folder, rule), people_of(evaluation.people, trained, data.pack.people))
    other = other_rule_than(settings.select)
    tests = ["test", *data.test_splits]
    mean_pose = {split: clean(mean_pose_metrics(settings, model, data, split)) for split in tests}
    fields = {
        "steps": trainer.global_step,
        "steps_before": model.steps_before,
        "best_epoch": epoch_of(checkpoints / CHOSEN) if settings.fit else None,
        "metrics": metrics,
        "mean_pose": with_average(mean_pose, data),
    }
    other_rule = (
        {"checkpoint_rule": rule_text(other, base_of(model.tasks)), "metrics": found[other].metrics} if found else None
    )
    lost = mirror_lost(settings.logger, active) if is_first() else None
    return fields | ({"other_rule": other_rule} if other_rule else {}) | ({"mirror_lost": lost} if lost else {})


def check_finite(metrics: Metrics, model: MultiTaskPose, data: PoseDataModule, name: str) -> None:
    """Raise UserError if a trained task's error over anybody is not a number: the run of this name has diverged."""
    counts = counted(model.tasks, data)
    for split, numbers in metrics.items():
        for task in model.balance.active:
            if numbers.get(f"{task}_error", 0.0) is None and counts[split][task]:
                raise UserError(f"{name}: diverged, {split}/{task}_error is not finite; lower optim.groups.lr")

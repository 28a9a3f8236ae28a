"""Train, select the checkpoint, and evaluate it on every split: scores, and the predictions for each test person."""

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
from hmlpe.metrics import PersonArrays
from hmlpe.runs.folder import CHOSEN
from hmlpe.runs.people import ERRORS, People, people_file, write_people
from hmlpe.runs.rules import other_rule_than, rule_text
from hmlpe.settings import make
from hmlpe.tasks import Task
from hmlpe.training.build import mean_pose_metrics, start_from_statistics
from hmlpe.training.callbacks import progress
from hmlpe.training.checkpoint import (
    Keeper,
    KeptEpochs,
    ResumeCheckpoint,
    base_of,
    checkpoint_callbacks,
    epoch_of,
    state_to_resume,
)
from hmlpe.training.described import count_known, logged_infos
from hmlpe.training.logs import close_loggers, loggers, logging_callbacks, mirror_failure
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import SignalHandlers, is_rank_zero, on_rank_zero, rank_and_world, trainer_options
from hmlpe.training.settings import TrainSettings
from hmlpe.training.weights import load_weights

Metrics = dict[str, dict[str, float | None]]
"""Values by split and name; None where there was nothing to measure."""
COLLECTED_SPLIT = "test"  # the split whose people `PersonCollector` collects


def fit_and_evaluate(
    settings: TrainSettings, folder: Path, data: PoseDataModule, model: MultiTaskPose, precision: str, name: str
) -> dict[str, Any]:
    """Train, select the checkpoint, and evaluate it on the train, validation and (once) test people.

    Args:
        settings: the settings of the run.
        folder: folder of the run.
        data: the datamodule.
        model: the module, whose weights were freshly drawn.
        precision: Lightning's name of the precision.
        name: name of the run, for the log.

    Returns:
        The fields of the run's result that training and evaluation determine.
    """
    start_from_statistics(model, data, settings.optim.start_at_mean)
    if settings.init_from is not None:
        start = load_weights(model, Path(settings.init_from), make("skeleton", settings.skeleton), settings.heads)
        model.steps_before = int(start.get("steps", 0))
    checkpoints = folder / "checkpoints"
    kept = checkpoint_callbacks(checkpoints, settings.select, model.balance.active)
    files = [keeper.path for keeper in kept.values()]
    for_good = KeptEpochs(checkpoints, settings.keep_epochs)
    collector = PersonCollector()
    watching: list[Callback] = []
    active: list[Logger] = []
    if is_rank_zero():
        watching = [LearningRateMonitor("step"), *progress(name, settings.trainer.progress)]
        active = loggers(settings, folder, logged_infos(model))
    watching += logging_callbacks(settings.logger, folder, active)
    if rank_and_world()[1] > 1:
        watching.append(SignalHandlers())
    exit_code = 1
    try:
        trainer = L.Trainer(
            **trainer_options(settings.trainer),
            precision=precision,  # type: ignore[arg-type]  # checked by Lightning
            max_epochs=settings.epochs,
            callbacks=[*kept.values(), ResumeCheckpoint(checkpoints), for_good, collector, *watching],
            logger=active,
            default_root_dir=folder,  # where Lightning, under SLURM, looks for a state of its own to resume from
            log_every_n_steps=settings.trainer.log_every_n_steps,
            gradient_clip_val=settings.optim.gradient_clip,
            num_sanity_val_steps=0,
            enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in watching),
            enable_model_summary=False,
            use_distributed_sampler=False,
            deterministic=True,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")  # measured: loading takes no extra time
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # resuming is intended
            warnings.filterwarnings("ignore", "The number of training batches")  # few people: all epochs are logged
            warnings.filterwarnings("ignore", ".*LeafSpec.*")  # Lightning 2.6 with torch 2.13
            warnings.filterwarnings("ignore", ".*sync_dist=True.*")  # logged values are means over processes already
            if settings.fit:
                path = on_rank_zero(lambda: state_to_resume(checkpoints, files, name))
                trainer.fit(model, data, ckpt_path=path, weights_only=True)
            found = evaluate_both_rules(settings, trainer, model, data, kept, collector) if settings.fit else {}
            metrics = found[settings.select].metrics if found else evaluate_all(trainer, model, data)
        check_finite(metrics, model, data, name)
        exit_code = 0
    finally:
        close_loggers(active, exit_code)
    if is_rank_zero():
        for rule, evaluation in found.items():
            trained = [model.tasks[task] for task in model.balance.active]
            write_people(people_file(folder, rule), people_of(evaluation.people, trained, data.pack.people))
    other = other_rule_than(settings.select)
    tests = ["test", *data.test_splits]
    mean_pose = {split: finite_or_none(mean_pose_metrics(settings, model, data, split)) for split in tests}
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
    lost = mirror_failure(settings.logger, active) if is_rank_zero() else None
    return fields | ({"other_rule": other_rule} if other_rule else {}) | ({"mirror_lost": lost} if lost else {})


def check_finite(metrics: Metrics, model: MultiTaskPose, data: PoseDataModule, name: str) -> None:
    """Raise UserError if a trained task's error is not finite on a split with known ground truth: the run has diverged.

    Args:
        metrics: the values of all splits.
        model: the module.
        data: the datamodule.
        name: name of the run, for the error message.
    """
    counts = count_known(model.tasks, data)
    for split, numbers in metrics.items():
        for task in model.balance.active:
            if numbers.get(f"{task}_error", 0.0) is None and counts[split][task]:
                raise UserError(f"{name}: diverged, {split}/{task}_error is not finite; lower optim.groups.lr")


class Evaluation(NamedTuple):
    """The scores of one checkpoint, and its results for each test person (`PersonCollector.collected`)."""

    metrics: Metrics
    people: dict[str, Tensor]


def evaluate_both_rules(
    settings: TrainSettings,
    trainer: L.Trainer,
    model: MultiTaskPose,
    data: PoseDataModule,
    kept: Mapping[str, Keeper],
    collector: PersonCollector,
) -> dict[str, Evaluation]:
    """Evaluate the checkpoints of both rules ("best" and "last"), and return the results by rule.

    The rule that is not selected is evaluated first and not logged, so that nobody confuses its values with the others.

    Args:
        settings: the settings of the run.
        trainer: Lightning's trainer.
        model: the module in the state after the last epoch.
        data: the datamodule.
        kept: see `checkpoint_callbacks`.
        collector: the callback that collects the results for each test person.
    """
    found, loggers, skeleton = {}, trainer.loggers, make("skeleton", settings.skeleton)
    for rule in (other_rule_than(settings.select), settings.select):
        if rule in kept:
            load_weights(model, kept[rule].path, skeleton)
        trainer.loggers = loggers if rule == settings.select else []
        # The logs hold the curves of the validation values, in which this checkpoint's values would look like an epoch.
        found[rule] = Evaluation(evaluate_all(trainer, model, data, unlogged=("val",)), collector.collected)
    return found


def evaluate_all(
    trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, unlogged: Collection[str] = ()
) -> Metrics:
    """Evaluate every split, and add the average over the test sets if there are several.

    Args:
        trainer: Lightning's trainer.
        model: the module to evaluate.
        data: the datamodule.
        unlogged: splits whose values are not logged.
    """
    loggers, found = trainer.loggers, {}
    for split in data.plain:
        trainer.loggers = [] if split in unlogged else loggers
        found[split] = evaluate(trainer, model, data, split)
    trainer.loggers = loggers
    return with_average(found, data)


def with_average(splits: Metrics, data: PoseDataModule) -> Metrics:
    """Add `test_average` (see `average_over_sets`) to the values of the splits, if there are several test sets."""
    sets = [splits[name] for name in data.test_splits]
    return splits | ({"test_average": average_over_sets(sets)} if sets else {})


def average_over_sets(splits: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return, for every metric that all sets have, its mean over the sets; each set counts once.

    >>> average_over_sets([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": None}])
    {'a': 2.0}
    """
    shared = {key for key in splits[0] if all(split.get(key) is not None for split in splits)}
    return {key: sum(split[key] or 0.0 for split in splits) / len(splits) for key in sorted(shared)}


def evaluate(trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, split: str) -> dict[str, float | None]:
    """Return errors and metrics of a split, computed in evaluation mode on the crops of the test rule."""
    model.split = split
    found = trainer.test(model, data.evaluation_loader(split), verbose=False)[0]
    return finite_or_none({key.removeprefix(f"{split}/"): value for key, value in found.items()})


def finite_or_none(values: Any) -> dict[str, float | None]:
    """Return the values as plain floats, sorted by name; None for those that are not finite, as JSON has no NaN.

    >>> finite_or_none({"b": float("nan"), "a": 1})
    {'a': 1.0, 'b': None}
    """
    return {key: float(value) if math.isfinite(value) else None for key, value in sorted(values.items())}


class PersonCollector(Callback):
    """Collects the results of an evaluation for each test person, from all processes.

    Attributes:
        collected: the arrays of the last evaluation, by the names of `MultiTaskPose.validation_step`, and `row`; they
            are the same on all processes.
    """

    def __init__(self) -> None:
        self.collected: dict[str, Tensor] = {}
        self.rows: PersonArrays | None = None

    def on_test_batch_end(  # type: ignore[override]  # the outputs are those of test_step
        self, trainer: L.Trainer, pl_module: MultiTaskPose, outputs: dict[str, Tensor], batch: Sample, *number: Any
    ) -> None:
        """Add a batch, if it belongs to the split "test"."""
        if pl_module.split != COLLECTED_SPLIT:
            return
        if self.rows is None:
            self.rows = PersonArrays(list(outputs)).to(pl_module.device)
        self.rows.update(batch["row"], **outputs)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the results from all processes."""
        if self.rows is not None:
            self.collected, self.rows = {name: value.cpu() for name, value in self.rows.compute().items()}, None


def people_of(found: Mapping[str, Tensor], tasks: Iterable[Task], everyone: Columns) -> People:
    """Return the content of the run's people file.

    Args:
        found: the arrays of `PersonCollector.collected`.
        tasks: the trained tasks.
        everyone: the people of the whole pack.
    """
    index = found["row"].numpy()
    arrays = {name: found[name].numpy() for name in ("truth_crop_px", "truth_px", "torso_px", "box_px")}
    arrays |= {name: value.float().numpy() for name, value in found.items() if name.startswith(ERRORS)}
    for task in tasks:
        arrays |= task.stored_arrays(found)
    return People(index, person_names(everyone)[index], everyone.resampling_groups[index], arrays)


def person_names(people: Columns) -> np.ndarray:
    """Return a name for each person (person,): the image's name with its set, and where in it the person is annotated.

    A person has the same name in all packs.
    """
    return np.strings.add(np.strings.add(people.image_ids, " "), people.where)

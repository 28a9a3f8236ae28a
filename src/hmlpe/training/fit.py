"""Train, select the checkpoint, and evaluate it on every split: scores, and the predictions for each test person."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
import torch.utils.deterministic
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar
from lightning.pytorch.loggers import Logger
from torch import Tensor

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.dataset import Sample
from hmlpe.data.pack import PeopleColumns
from hmlpe.errors import UserError
from hmlpe.metrics import PersonArrays
from hmlpe.runs.folder import CHOSEN
from hmlpe.runs.people import ERRORS, People, people_file, write_people
from hmlpe.runs.rules import other_rule_than, rule_text
from hmlpe.settings import build_component
from hmlpe.tasks import Task
from hmlpe.training.build import mean_pose_metrics, set_mean_image_and_biases
from hmlpe.training.callbacks import TrainingSpeed, progress_callbacks
from hmlpe.training.checkpoint import (
    Keeper,
    KeptEpochs,
    ResumeCheckpoint,
    checkpoint_callbacks,
    epochs_trained,
    find_resume_checkpoint,
    reference_task,
)
from hmlpe.training.described import count_labelled_people, logged_metric_infos
from hmlpe.training.logs import close_loggers, logging_callbacks, make_loggers, wandb_failure
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import SignalHandlers, is_rank_zero, on_rank_zero, rank_and_world, trainer_options
from hmlpe.training.settings import TrainSettings
from hmlpe.training.weights import load_weights

Metrics = dict[str, dict[str, float | None]]
"""Values by split and name; None where there was nothing to measure."""
COLLECTED_SPLIT = "test"  # the split whose people `PersonCollector` collects


def fit_and_evaluate(
    settings: TrainSettings, folder: Path, data: PoseDataModule, model: MultiTaskPose, precision: str, run_name: str
) -> dict[str, Any]:
    """Train, and evaluate the checkpoints of both rules ("best" and "last") on train, validation and test people.

    A run that does not train evaluates the network that it starts from.

    Args:
        settings: the settings of the run.
        folder: folder of the run.
        data: the datamodule.
        model: the module, whose weights were freshly drawn.
        precision: Lightning's name of the precision.
        run_name: name of the run, for the log.

    Returns:
        The fields of the run's result that training and evaluation determine.
    """
    set_mean_image_and_biases(model, data, settings.optim.start_at_mean)
    if settings.init_from is not None:
        start = load_weights(
            model, Path(settings.init_from), build_component("skeleton", settings.skeleton), settings.heads
        )
        model.steps_before = int(start.get("steps", 0))
    checkpoints = folder / "checkpoints"
    keepers = checkpoint_callbacks(checkpoints, settings.select, model.balance.active)
    evaluated_files = [keeper.path for keeper in keepers.values()]
    kept_epochs = KeptEpochs(checkpoints, settings.keep_epochs)
    collector, speed = PersonCollector(), TrainingSpeed()
    watching: list[Callback] = []
    active: list[Logger] = []
    if is_rank_zero():
        watching = [LearningRateMonitor("step"), *progress_callbacks(run_name, settings.trainer.progress)]
        active = make_loggers(settings, folder, logged_metric_infos(model))
    watching += logging_callbacks(settings.logger, folder, active)
    if rank_and_world()[1] > 1:
        watching.append(SignalHandlers())
    exit_code = 1
    # Deterministic mode would fill every new tensor with NaN, to show reads of memory that nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # of a module subclass
    try:
        trainer = L.Trainer(
            **trainer_options(settings.trainer),
            precision=precision,  # type: ignore[arg-type]  # checked by Lightning
            max_epochs=settings.epochs,
            callbacks=[*keepers.values(), ResumeCheckpoint(checkpoints), kept_epochs, collector, speed, *watching],
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
                path = on_rank_zero(lambda: find_resume_checkpoint(checkpoints, evaluated_files, run_name))
                trainer.fit(model, data, ckpt_path=path, weights_only=True)
            found = (
                evaluate_both_checkpoints(settings, trainer, model, data, keepers, collector) if settings.fit else {}
            )
            metrics = found[settings.select].metrics if found else evaluate_all_splits(trainer, model, data)
        check_finite(metrics, model, data, run_name)
        exit_code = 0
    finally:
        close_loggers(active, exit_code)
    if is_rank_zero():
        for rule, evaluation in found.items():
            trained = [model.tasks[task] for task in model.balance.active]
            write_people(people_file(folder, rule), build_people(evaluation.people, trained, data.pack.people))
    other = other_rule_than(settings.select)
    tests = ["test", *data.test_splits]
    mean_pose = {split: finite_or_none(mean_pose_metrics(settings, model, data, split)) for split in tests}
    fields = {
        "steps": trainer.global_step,
        "steps_before": model.steps_before,
        "images_per_second": None if speed.images_per_second is None else round(speed.images_per_second, 1),
        "best_epoch": epochs_trained(checkpoints / CHOSEN) if settings.fit else None,
        "metrics": metrics,
        "mean_pose": with_test_average(mean_pose, data),
    }
    other_rule = (
        {"checkpoint_rule": rule_text(other, reference_task(model.tasks)), "metrics": found[other].metrics}
        if found
        else None
    )
    lost = wandb_failure(settings.logger, active) if is_rank_zero() else None
    return fields | ({"other_rule": other_rule} if other_rule else {}) | ({"mirror_lost": lost} if lost else {})


def check_finite(metrics: Metrics, model: MultiTaskPose, data: PoseDataModule, run_name: str) -> None:
    """Raise UserError if a trained task's error is not finite on a split with known ground truth: the run has diverged.

    Args:
        metrics: the values of all splits.
        model: the module.
        data: the datamodule.
        run_name: name of the run, for the error message.
    """
    counts = count_labelled_people(model.tasks, data)
    for split, numbers in metrics.items():
        for task in model.balance.active:
            if numbers.get(f"{task}_error", 0.0) is None and counts[split][task]:
                raise UserError(f"{run_name}: diverged, {split}/{task}_error is not finite; lower optim.groups.lr")


class Evaluation(NamedTuple):
    """The scores of one checkpoint, and its results for each test person (`PersonCollector.collected`)."""

    metrics: Metrics
    people: dict[str, Tensor]


def evaluate_both_checkpoints(
    settings: TrainSettings,
    trainer: L.Trainer,
    model: MultiTaskPose,
    data: PoseDataModule,
    keepers: Mapping[str, Keeper],
    collector: PersonCollector,
) -> dict[str, Evaluation]:
    """Evaluate the checkpoints of both rules ("best" and "last"), and return the results by rule.

    The rule that is not selected is evaluated first and not logged, so that its values are not taken for those of the
    selected rule.

    Args:
        settings: the settings of the run.
        trainer: Lightning's trainer.
        model: the module in the state after the last epoch.
        data: the datamodule.
        keepers: the callbacks that kept the checkpoints, by rule; see `checkpoint_callbacks`.
        collector: the callback that collects the results for each test person.
    """
    found, loggers, skeleton = {}, trainer.loggers, build_component("skeleton", settings.skeleton)
    for rule in (other_rule_than(settings.select), settings.select):
        if rule in keepers:
            load_weights(model, keepers[rule].path, skeleton)
        trainer.loggers = loggers if rule == settings.select else []
        # The logs hold the curves of the validation values, in which this checkpoint's values would look like an epoch.
        found[rule] = Evaluation(evaluate_all_splits(trainer, model, data, unlogged=("val",)), collector.collected)
    return found


def evaluate_all_splits(
    trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, unlogged: Collection[str] = ()
) -> Metrics:
    """Return the scores of every split, and of `test_average` (see `average_over_sets`) if there are several test sets.

    Args:
        trainer: Lightning's trainer.
        model: the module to evaluate.
        data: the datamodule.
        unlogged: splits whose values are not logged.
    """
    loggers, found = trainer.loggers, {}
    for split in data.plain:
        trainer.loggers = [] if split in unlogged else loggers
        found[split] = evaluate_split(trainer, model, data, split)
    trainer.loggers = loggers
    return with_test_average(found, data)


def with_test_average(splits: Metrics, data: PoseDataModule) -> Metrics:
    """Return the scores by split, plus `test_average` (see `average_over_sets`) if there are several test sets."""
    sets = [splits[name] for name in data.test_splits]
    return splits | ({"test_average": average_over_sets(sets)} if sets else {})


def average_over_sets(sets: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean over the test sets of every metric that has a value in all of them; each set counts once.

    >>> average_over_sets([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": None}])
    {'a': 2.0}
    """
    shared = {key for key in sets[0] if all(one_set.get(key) is not None for one_set in sets)}
    return {key: sum(one_set[key] or 0.0 for one_set in sets) / len(sets) for key in sorted(shared)}


def evaluate_split(
    trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, split: str
) -> dict[str, float | None]:
    """Return the errors and metrics of a split, by name, in evaluation mode and on crops made as for test people."""
    model.split = split
    found = trainer.test(model, data.evaluation_loader(split), verbose=False)[0]
    return finite_or_none({key.removeprefix(f"{split}/"): value for key, value in found.items()})


def finite_or_none(values: Any) -> dict[str, float | None]:
    """Return the values by name as plain floats, sorted by name; None replaces values that are not finite.

    (JSON has no NaN.)

    >>> finite_or_none({"b": float("nan"), "a": 1})
    {'a': 1.0, 'b': None}
    """
    return {key: float(value) if math.isfinite(value) else None for key, value in sorted(values.items())}


class PersonCollector(Callback):
    """Collects the predictions and errors of each test person in an evaluation, from all processes.

    Attributes:
        collected: the arrays of the last evaluation, by the names of `MultiTaskPose.validation_step`, and `row`, each
            person's index in the pack; they are the same on all processes.
    """

    def __init__(self) -> None:
        self.collected: dict[str, Tensor] = {}
        self.rows: PersonArrays | None = None

    def on_test_batch_end(  # type: ignore[override]  # the outputs are those of test_step
        self, trainer: L.Trainer, pl_module: MultiTaskPose, outputs: dict[str, Tensor], batch: Sample, *number: Any
    ) -> None:
        """Store the results of a batch of people, if they belong to the split "test"."""
        if pl_module.split != COLLECTED_SPLIT:
            return
        if self.rows is None:
            self.rows = PersonArrays(list(outputs)).to(pl_module.device)
        self.rows.update(batch["row"], **outputs)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Gather the people's results from all processes into `collected`."""
        if self.rows is not None:
            self.collected, self.rows = {name: value.cpu() for name, value in self.rows.compute().items()}, None


def build_people(collected: Mapping[str, Tensor], tasks: Iterable[Task], pack_people: PeopleColumns) -> People:
    """Return the predictions and errors of the test people as the run's people file stores them.

    Args:
        collected: the arrays of `PersonCollector.collected`.
        tasks: the trained tasks.
        pack_people: the people of the whole pack.
    """
    index = collected["row"].numpy()
    arrays = {name: collected[name].numpy() for name in ("truth_crop_px", "truth_px", "torso_px", "box_px")}
    arrays |= {name: value.float().numpy() for name, value in collected.items() if name.startswith(ERRORS)}
    for task in tasks:
        arrays |= task.stored_arrays(collected)
    return People(index, person_names(pack_people)[index], pack_people.resampling_groups[index], arrays)


def person_names(people: PeopleColumns) -> np.ndarray:
    """Return a name for each person (person,): the image's name with its set, and where in it the person is annotated.

    A person has the same name in all packs.
    """
    return np.strings.add(np.strings.add(people.image_ids, " "), people.where)

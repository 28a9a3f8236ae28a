"""Train, choose the checkpoint, evaluate."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ProgressBar
from lightning.pytorch.loggers import Logger

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.errors import UserError
from hmlpe.runs.folder import CHOSEN
from hmlpe.runs.people import people_file, write_people
from hmlpe.runs.rules import in_words, other_than
from hmlpe.settings import make
from hmlpe.training.build import mean_pose_metrics, start_from_statistics
from hmlpe.training.callbacks import progress
from hmlpe.training.checkpoint import KeptEpochs, ResumeCheckpoint, epoch_of, state_to_resume
from hmlpe.training.counted import counted
from hmlpe.training.described import described
from hmlpe.training.logs import finish, loggers, mirror_lost, watchers
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.people import EachPerson, people_of
from hmlpe.training.ranks import OwnSignals, from_first, is_first, place, trainer_options
from hmlpe.training.rules import base_of, keepers
from hmlpe.training.scores import Metrics, both_rules, clean, evaluate_all, with_average
from hmlpe.training.settings import TrainSettings
from hmlpe.training.weights import load_weights


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
    other = other_than(settings.select)
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
        {"checkpoint_rule": in_words(other, base_of(model.tasks)), "metrics": found[other].metrics} if found else None
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

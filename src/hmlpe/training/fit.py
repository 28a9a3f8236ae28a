"""Train, choose the checkpoint, evaluate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from hydra.utils import instantiate
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar
from omegaconf import DictConfig
from torch import Tensor

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.training.build import mean_pose_metrics, plain, start_from_statistics
from hmlpe.training.callbacks import progress
from hmlpe.training.checkpoint import BEST, KEY, ResumeCheckpoint, epoch_of, read_checkpoint, state_to_resume
from hmlpe.training.logs import finish, loggers
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import OwnSignals, from_first, is_first, place, trainer_options
from hmlpe.training.result import RESUME

HEADS = "network.heads."  # how the names of the heads' weights begin


def fit_and_evaluate(
    config: DictConfig, folder: Path, data: PoseDataModule, model: MultiTaskPose, precision: str, name: str
) -> dict[str, Any]:
    """Train, choose the checkpoint, then read train, validation and (once) test people."""
    start_from_statistics(model, data, config.optim.start_at_mean)
    if config.checkpoint is not None:
        start = load_weights(model, Path(config.checkpoint), instantiate(config.skeleton), config.heads)
        model.steps_before = int(start.get("steps", 0))
    checkpoints = folder / "checkpoints"
    chosen = ModelCheckpoint(
        checkpoints,
        BEST,
        monitor=f"val/{monitored(model.balance.active)}_error" if config.select == "best" else None,
        save_weights_only=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    resume = ResumeCheckpoint(
        checkpoints,
        Path(RESUME).stem,
        save_on_train_epoch_end=True,  # not before validation is done, so that nothing of the epoch is left to do
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    watching, active = [], []
    if is_first():
        watching = [LearningRateMonitor("step"), *progress(name, config.trainer.progress)]
        active = loggers(config, folder, plain(config))
    if place()[1] > 1:
        watching.append(OwnSignals())
    exit_code = 1
    try:
        trainer = L.Trainer(
            **trainer_options(config),
            precision=precision,  # type: ignore[arg-type]  # checked by Lightning
            max_epochs=config.epochs,
            callbacks=[chosen, resume, *watching],
            logger=active,
            log_every_n_steps=config.trainer.log_every_n_steps,
            gradient_clip_val=config.optim.gradient_clip,
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
            if config.fit:
                path = from_first(lambda: state_to_resume(checkpoints, name))
                trainer.fit(model, data, ckpt_path=path, weights_only=True)
                load_weights(model, Path(chosen.best_model_path), instantiate(config.skeleton))
            metrics = {split: evaluate(trainer, model, data, split) for split in data.plain}
        exit_code = 0
    finally:
        finish(active, exit_code)
    for split, found in metrics.items():
        lost = [key for key in (f"{task}_error" for task in model.balance.active) if found[key] is None]
        if lost:
            raise UserError(f"{name}: diverged, {split}/{lost[0]} is not finite; lower optim.groups.lr")
    tests = ["test", *data.test_splits]
    mean_pose = {split: clean(mean_pose_metrics(config, model, data, split)) for split in tests}
    for numbers in (metrics, mean_pose) if data.test_splits else ():
        numbers["test_average"] = average([numbers[split] for split in data.test_splits])
    return {
        "steps": trainer.global_step,
        "steps_before": model.steps_before,
        "best_epoch": epoch_of(Path(chosen.best_model_path)) if config.fit else None,
        "metrics": metrics,
        "mean_pose": mean_pose,
    }


def average(splits: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean over sets, each counting once, of every metric that all of them have."""
    shared = {key for key in splits[0] if all(split.get(key) is not None for split in splits)}
    return {key: sum(split[key] or 0.0 for split in splits) / len(splits) for key in sorted(shared)}


def monitored(active: list[str]) -> str:
    """The task whose validation error chooses the checkpoint."""
    return "regression" if "regression" in active else active[0]


def load_weights(model: MultiTaskPose, path: Path, skeleton: Skeleton, heads: str = "keep") -> dict[str, Any]:
    """Load a checkpoint's weights, mean image included.

    Args:
        skeleton: of the model.
        heads: "keep" loads them too; "renew" leaves the model's own, whatever the checkpoint's skeleton is.

    Returns:
        What the checkpoint says of itself.

    Raises:
        UserError: it is no checkpoint, or of another skeleton or network.
    """
    content = read_checkpoint(path, skeleton if heads == "keep" else None)
    weights: dict[str, Tensor] = content["state_dict"]
    if heads == "renew":
        own = {key: value for key, value in model.state_dict().items() if key.startswith(HEADS)}
        weights = {key: value for key, value in weights.items() if not key.startswith(HEADS)} | own
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{path}: checkpoint of another network; give the one it was trained with: network=..."
        ) from error
    described: dict[str, Any] = content[KEY]
    return described


def evaluate(trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, split: str) -> dict[str, float | None]:
    """Errors and metrics of a split, in evaluation mode, by the test-crop rule."""
    model.split = split
    found = trainer.test(model, data.evaluation_loader(split), verbose=False)[0]
    return clean({key.removeprefix(f"{split}/"): value for key, value in found.items()})


def clean(values: Any) -> dict[str, float | None]:
    """Plain floats; None where nothing was to be measured, as JSON has no NaN."""
    return {key: float(value) if math.isfinite(value) else None for key, value in sorted(values.items())}

"""One whole run: seeds, data, model, fit, evaluation, result."""

from __future__ import annotations

import logging
import math
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar
from omegaconf import DictConfig

from hmlpe.data.datamodule import PoseDataModule
from hmlpe.errors import UserError
from hmlpe.files import write_text_atomic
from hmlpe.training.build import (
    build_data,
    build_model,
    build_tasks,
    config_digest,
    mean_pose_metrics,
    plain,
    start_from_statistics,
)
from hmlpe.training.callbacks import progress
from hmlpe.training.checkpoint import DescribeCheckpoint, ResumeCheckpoint
from hmlpe.training.logs import finish, loggers
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.precision import resolve_precision
from hmlpe.training.provenance import code_digest, provenance
from hmlpe.training.result import finished_result, write_result

log = logging.getLogger(__name__)


def run(config: DictConfig, folder: Path) -> dict[str, Any]:
    """Train and evaluate what `config` says, in `folder`; skip a finished run, go on with a broken one.

    Returns:
        The result, as in `<folder>/result.json`.

    Raises:
        UserError: bad input; any error is recorded in result.json first.
    """
    name = f"{config.row.name} · seed {config.seed}"
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    model = build_model(config, build_tasks(config))
    digests = {"code": code_digest(), "data": str(data.pack.manifest["digest"]), "config": config_digest(config)}
    done = finished_result(folder, {**digests, "seed": str(config.seed)}, config.overwrite)
    if done is not None:
        log.info("%s: finished already, skipped (%s)", name, folder)
        return done
    precision = resolve_precision(config.trainer.precision, config.trainer.accelerator)
    fields = describe(config, data, model) | {
        "identity": {**digests, "seed": str(config.seed)},
        "provenance": provenance(digests["data"], digests["config"], precision),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text_atomic(folder / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True))
    write_result(folder, "running", fields)
    started = time.monotonic()
    try:
        fields |= fit_and_evaluate(config, folder, data, model, precision, name)
    except BaseException as error:
        write_result(folder, "failed", fields | {"error": " ".join(f"{type(error).__name__}: {error}".split())})
        raise
    fields["seconds"] = round(time.monotonic() - started, 1)
    (folder / "checkpoints" / "resume.ckpt").unlink(missing_ok=True)
    return write_result(folder, "finished", fields)


def describe(config: DictConfig, data: PoseDataModule, model: MultiTaskPose) -> dict[str, Any]:
    """What the run is, apart from its numbers."""
    sides, boxes = config.data.sides, data.pack.manifest["boxes"]["test"]
    return {
        "experiment": config.study,
        "row": config.row.name,
        "seed": config.seed,
        "weights": model.balance.weights,
        "protocol": f"{config.data.name}: pdj_modec, pcp_strict; sides={sides}, test boxes={boxes}",
        "checkpoint_rule": config.select if config.select == "last" else f"best val/{model.balance.active[0]}_error",
        "epochs": config.epochs,
        "recipe": config.optim.name,
        "network": config.network_name,
        "people": data.people(),
    }


def fit_and_evaluate(
    config: DictConfig, folder: Path, data: PoseDataModule, model: MultiTaskPose, precision: str, name: str
) -> dict[str, Any]:
    """Train, choose the checkpoint, then read train, validation and (once) test people."""
    if config.select not in ("best", "last"):
        raise UserError(f"select: must be best or last, got {config.select!r}")
    start_from_statistics(model, data, config.optim.start_at_mean)
    checkpoints = folder / "checkpoints"
    about = DescribeCheckpoint(plain(config))
    chosen = ModelCheckpoint(
        checkpoints,
        "model",
        monitor=f"val/{model.balance.active[0]}_error" if config.select == "best" else None,
        save_weights_only=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    resume = ResumeCheckpoint(
        checkpoints,
        "resume",
        save_on_train_epoch_end=True,  # not before validation is done, so that nothing of the epoch is left to do
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    watching = progress(name, config.trainer.progress)
    active = loggers(config, folder, plain(config))
    exit_code = 1
    try:
        trainer = L.Trainer(
            accelerator=config.trainer.accelerator,
            devices=config.trainer.devices,
            precision=precision,  # type: ignore[arg-type]  # checked by Lightning
            max_epochs=config.epochs,
            callbacks=[about, chosen, resume, LearningRateMonitor("step"), *watching],
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
            path = checkpoints / "resume.ckpt"
            if path.is_file():
                log.info("%s: going on from %s", name, path)
            trainer.fit(model, data, ckpt_path=path if path.is_file() else None, weights_only=True)
            load_weights(model, Path(chosen.best_model_path))
            metrics = {split: evaluate(trainer, model, data, split) for split in ("train", "val", "test")}
        exit_code = 0
    finally:
        finish(active, exit_code)
    return {
        "steps": trainer.global_step,
        "best_epoch": about.epoch_of(Path(chosen.best_model_path)),
        "metrics": metrics,
        "mean_pose": {"test": clean(mean_pose_metrics(config, model, data))},
    }


def load_weights(model: MultiTaskPose, path: Path) -> None:
    """Load a checkpoint's weights into the model."""
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["state_dict"])


def evaluate(trainer: L.Trainer, model: MultiTaskPose, data: PoseDataModule, split: str) -> dict[str, float | None]:
    """Errors and metrics of a split, in evaluation mode, by the test-crop rule."""
    model.split = split
    found = trainer.test(model, data.evaluation_loader(split), verbose=False)[0]
    return clean({key.removeprefix(f"{split}/"): value for key, value in found.items()})


def clean(values: Any) -> dict[str, float | None]:
    """Plain floats; None where nothing was to be measured, as JSON has no NaN."""
    return {key: float(value) if math.isfinite(value) else None for key, value in sorted(values.items())}

"""What one process and each of several do alike in test_ddp.py; as a program (torchrun) it saves what each rank saw.

    torchrun --nproc-per-node=2 ddp_ranks.py <folder> <override> ...
"""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from hmlpe.cli.app import CONFIGS
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.training.build import build_data, build_model, build_tasks, mean_pose_metrics, start_from_statistics
from hmlpe.training.fit import evaluate
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import from_first, joined, mean_of_all, place, trainer_options

ROWS = ("regression_only", "det_0.1", "detection_only")
STEPS = 3


def composed(*overrides: str) -> DictConfig:
    """The configuration of hmlpe-train."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


class Watch(Callback):
    """Keeps what each step saw, drew and derived."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}
        self.images: list[torch.Tensor] = []
        self.logged: list[dict[str, float]] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int) -> None:
        self.images.append(batch["image"].clone())

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        if not self.gradients:
            named = pl_module.named_parameters()
            self.gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        self.logged.append({key: float(value) for key, value in trainer.callback_metrics.items() if "train/" in key})


def train(config: DictConfig) -> dict[str, Any]:
    """A few steps of the configured run, without its files."""
    data, model = built(config)
    watch = Watch()
    trainer = trainer_of(config, watch)
    trainer.fit(model, data)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    found: dict[str, Any] = {"gradients": watch.gradients, "weights": weights}
    found |= {"images": watch.images, "logged": watch.logged}
    found["validation"] = {key: float(value) for key, value in trainer.callback_metrics.items() if "val/" in key}
    return found


def built(config: DictConfig) -> tuple[PoseDataModule, MultiTaskPose]:
    data = build_data(config)
    model = build_model(config, build_tasks(config))
    start_from_statistics(model, data, config.optim.start_at_mean)
    return data, model


def evaluated(config: DictConfig) -> dict[str, dict[str, float | None]]:
    """Errors and metrics of every split with the weights that a run starts from, and those of the mean pose."""
    data, model = built(config)
    found = {split: evaluate(trainer_of(config), model, data, split) for split in data.plain}
    return found | {"mean_pose": mean_pose_metrics(config, model, data)}


def trainer_of(config: DictConfig, *watching: Callback) -> L.Trainer:
    return L.Trainer(
        **trainer_options(config), max_steps=STEPS, callbacks=[*watching], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, num_sanity_val_steps=0,
        deterministic=True,
    )  # fmt: skip


def served(config: DictConfig) -> dict[str, list[Any]]:
    """The keys that the loaders of each split ask for, in order; of training those of two epochs."""
    data = build_data(config)
    loader = data.train_dataloader()
    found: dict[str, list[Any]] = {"training": []}
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        found["training"].append(list(loader.batch_sampler))
    return found | {split: list(data.evaluation_loader(split).sampler) for split in data.plain}


def decided() -> dict[str, Any]:
    """What `from_first` gives, and raises."""
    rank, _ = place()

    def fails() -> int:
        raise ValueError(f"of rank {rank}")

    try:
        from_first(fails)
    except ValueError as error:
        raised = str(error)
    return {"from_first": from_first(lambda: rank), "raised": raised, "mean": mean_of_all(torch.tensor([float(rank)]))}


def seen(overrides: list[str]) -> dict[str, Any]:
    """All of it."""
    found = {row: train(composed(f"row={row}", *overrides)) for row in ROWS}
    found["evaluated"] = {row: evaluated(composed(f"row={row}", *overrides)) for row in ROWS}
    found["balanced"] = served(composed("data.balanced=true", *overrides))
    found["dropout"] = train(composed("network.head.keep=0.5", *overrides))["gradients"]
    return found | {"served": served(composed(*overrides)), "decided": decided()}


if __name__ == "__main__":
    folder, *words = sys.argv[1:]
    with ExitStack() as stack:
        if place()[1] == 1 and len(words):
            stack.enter_context(joined(composed(*words)))
        torch.save(seen(words), Path(folder) / f"rank_{place()[0]}.pt")

"""A program of test_ddp.py: what one process does and, under torchrun, each of several. Each saves what it saw.

python ddp_ranks.py <folder> <override> ...
torchrun --nproc-per-node=2 ddp_ranks.py <folder> <override> ...
"""

import sys
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.logger import DummyLogger

from hmlpe.cli.app import CONFIGS
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.network.layers import GlobalBatchNorm2d
from hmlpe.training.build import build_data, build_model, build_tasks, mean_pose_metrics, set_mean_image_and_biases
from hmlpe.training.callbacks import GradientLog
from hmlpe.training.devices import is_rank
from hmlpe.training.fit import evaluate_split
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.ranks import mean_over_ranks, on_rank_zero, process_group, rank_and_world, trainer_options
from hmlpe.training.settings import TrainSettings

ROWS = ("regression_only", "det_0.1", "detection_only")
BALANCES = ("uncertainty", "pcgrad")
STEPS = 3
WORDS: list[str] = []  # of the configuration


@cache
def composed(*overrides: str) -> TrainSettings:
    """The configuration of hmlpe-train."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return TrainSettings.from_config(compose("train", list(overrides)))


class Watch(Callback):
    """Keeps what each step saw, drew and derived."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}
        self.images: list[torch.Tensor] = []
        self.logged: list[dict[str, float]] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.images.append(batch["image"].clone())

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        if not self.gradients:
            named = pl_module.named_parameters()
            self.gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        self.logged.append({key: float(value) for key, value in trainer.callback_metrics.items() if "train/" in key})


def train(settings: TrainSettings, every: int | None = None) -> dict[str, Any]:
    """A few steps of the configured run, without its files; the trunk's gradients are logged of every `every`-th."""
    data, model = built(settings)
    watch, numbers = Watch(), Numbers()
    trainer = trainer_of(settings, watch, *([GradientLog(every)] if every else []), logger=numbers)
    trainer.fit(model, data)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    found: dict[str, Any] = {"gradients": watch.gradients, "weights": weights}
    found |= {"images": watch.images, "logged": watch.logged, "diagnosed": numbers.found}
    found["validation"] = {key: float(value) for key, value in trainer.callback_metrics.items() if "val/" in key}
    return found


class Numbers(DummyLogger):
    """Keeps what is logged of the gradients at the trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        numbers = {key: value for key, value in metrics.items() if key.startswith("train/gradient/")}
        self.found += [(step or 0, numbers)] if numbers else []


def built(settings: TrainSettings) -> tuple[PoseDataModule, MultiTaskPose]:
    data = build_data(settings)
    model = build_model(settings, build_tasks(settings))
    set_mean_image_and_biases(model, data, settings.optim.start_at_mean)
    return data, model


def evaluated(settings: TrainSettings) -> dict[str, dict[str, float | None]]:
    """Errors and metrics of every split with the weights that a run starts from, and those of the mean pose."""
    data, model = built(settings)
    found = {split: evaluate_split(trainer_of(settings), model, data, split) for split in data.plain}
    return found | {"mean_pose": mean_pose_metrics(settings, model, data)}


def trainer_of(settings: TrainSettings, *watching: Callback, logger: Logger | bool = False) -> L.Trainer:
    return L.Trainer(
        **trainer_options(settings.trainer),
        precision=settings.trainer.precision,
        max_steps=STEPS,
        callbacks=[*watching],
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        deterministic=True,
    )


def served(settings: TrainSettings) -> dict[str, list[Any]]:
    """The keys that the loaders of each split ask for, in order; of training those of two epochs."""
    data = build_data(settings)
    loader = data.train_dataloader()
    found: dict[str, list[Any]] = {"training": []}
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        found["training"].append(list(loader.batch_sampler))
    return found | {split: list(data.evaluation_loader(split).sampler) for split in data.plain}


def decided() -> dict[str, Any]:
    """What `on_rank_zero` gives, and raises."""
    rank, _ = rank_and_world()

    def fails() -> int:
        raise ValueError(f"of rank {rank}")

    try:
        on_rank_zero(fails)
    except ValueError as error:
        raised = str(error)
    mean = mean_over_ranks(torch.tensor([float(rank)]))
    return {"from_first": on_rank_zero(lambda: rank), "raised": raised, "mean": float(mean)}


def normalised() -> dict[str, torch.Tensor]:
    """This rank's part of a batch through the normalisation and back, in fp64; gradients of the mean of all losses."""
    rank, world = rank_and_world()
    draw = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(16, 3, 5, 7, dtype=torch.float64, generator=draw) for _ in range(2))
    x, weight = (3 * x + 100).chunk(world)[rank].requires_grad_(), weight.chunk(world)[rank]
    norm = GlobalBatchNorm2d(3).double()
    y = norm(x)
    ((y.square() * weight).sum() / len(x)).backward()
    assert x.grad is not None
    found = {"y": y.detach(), "x": x.grad / world, **{name: value.clone() for name, value in norm.state_dict().items()}}
    return found | {f"d_{name}": mean_over_ranks(value.grad) for name, value in norm.named_parameters()}


def drawn() -> list[torch.Tensor]:
    """What dropout draws at step 0 of two seeds."""
    data, model = built(composed(*WORDS, "row=det_0.1"))
    found = []
    for model.seed in (1, 2):
        model.on_train_batch_start(next(iter(data.train_dataloader())), 0)
        found.append(torch.rand(100))
    return found


def seen() -> dict[str, Any]:
    """All of it."""
    found = {row: train(composed(f"row={row}", *WORDS)) for row in ROWS}
    found["evaluated"] = {row: evaluated(composed(f"row={row}", *WORDS)) for row in ROWS}
    found["balanced"] = served(composed("data.balanced=true", *WORDS))
    found["bf16"] = train(composed(*WORDS, "trainer.precision=bf16-mixed"))
    found["without"] = train(composed(*WORDS, "network.trunk.norm=none"))
    found["diagnosed"] = train(composed("row=det_0.1", *WORDS), every=2)
    found |= {name: train(composed("row=det_1", f"balance={name}", *WORDS)) for name in BALANCES}
    found["normalised"] = normalised()
    found["dropout"] = drawn()
    return found | {"served": served(composed(*WORDS)), "decided": decided()}


if __name__ == "__main__":
    folder, *WORDS = sys.argv[1:]
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    with process_group(composed(*WORDS).trainer) if is_rank() else nullcontext():
        rank, world = rank_and_world()
        torch.save(seen(), Path(folder) / f"{rank}_of_{world}.pt")

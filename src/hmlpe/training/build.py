"""Configuration -> datamodule and LightningModule. `_target_` is the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torchmetrics import Metric, MetricCollection

from hmlpe.balance import FixedWeights
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file
from hmlpe.tasks import Task
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.precision import resolve_precision

NUMERIC = (
    "skeleton",
    "windows",
    "tasks",
    "metrics",
    "augment",
    "network",
    "optim",
    "row",
    "size_px",
    "epochs",
    "select",
    "fit",
)
NUMERIC_DATA = ("name", "sides", "use_occluded", "validation", "subset")
NUMERIC_TRAINER = ("accelerator", "devices", "precision", "threads")


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration in plain containers, without Hydra's own part."""
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    found = OmegaConf.to_container(own, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def config_digest(config: DictConfig, row: bool = True) -> str:
    """Digest of everything that a result depends on, but for the seed, the data, the code and, on wish, the row."""
    tree = plain(config)
    precision = resolve_precision(config.trainer.precision, config.trainer.accelerator)
    return digest_of(
        {
            **{key: tree[key] for key in NUMERIC if row or key != "row"},
            "data": {key: tree["data"][key] for key in NUMERIC_DATA},
            "checkpoint": digest_of_checkpoint(config.checkpoint),
            "trainer": {**{key: tree["trainer"][key] for key in NUMERIC_TRAINER}, "precision": precision},
        }
    )


def digest_of_checkpoint(path: str | None) -> str | None:
    """Digest of the checkpoint that a run starts from. Raises UserError if it is missing."""
    if path is None:
        return None
    if not Path(path).is_file():
        raise UserError(f"checkpoint: {path}: no such file")
    return digest_of_file(Path(path))


def build_data(config: DictConfig) -> PoseDataModule:
    """The datamodule over the prepared pack. Raises UserError if there is none that fits."""
    data = PoseDataModule(
        pack=config.data.pack,
        skeleton=instantiate(config.skeleton),
        augmentation=instantiate(config.augment),
        size_px=config.size_px,
        sides=config.data.sides,
        use_occluded=config.data.use_occluded,
        validation_fraction=config.data.validation.fraction,
        split_seed=config.data.validation.seed,
        subset=config.data.subset,
        batch_size=config.optim.batch_size,
        workers=config.trainer.workers,
        seed=config.seed,
    )
    manifest = data.pack.manifest
    wanted = {"boxes": instantiate(config.data.boxes).as_dict(), "crop_px": config.data.crop_px}
    other = [key for key, value in wanted.items() if manifest[key] != value]
    if other:
        raise UserError(
            f"data.{other[0]}: the pack {config.data.pack} was prepared with another; run hmlpe-prepare again"
        )
    return data


def build_tasks(config: DictConfig) -> dict[str, Task]:
    """The tasks by name. Raises UserError unless tasks and weights name the same ones."""
    tasks = {str(name): instantiate(task) for name, task in config.tasks.items()}
    if set(tasks) != set(config.row.weights):
        raise UserError(
            f"row.weights: name a weight for each task and no other; tasks {sorted(tasks)}, "
            f"weights {sorted(map(str, config.row.weights))}"
        )
    return tasks


def build_metrics(config: DictConfig) -> dict[str, list[Metric]]:
    """Metrics by the task whose output they read."""
    return {str(task): [instantiate(metric) for metric in named.values()] for task, named in config.metrics.items()}


def build_model(config: DictConfig, tasks: dict[str, Task]) -> MultiTaskPose:
    """The LightningModule with freshly drawn weights, from the configuration's seed."""
    torch.manual_seed(config.seed)
    network = instantiate(config.network, outputs={name: task.outputs for name, task in tasks.items()})
    instantiate(config.optim.init)(network)
    network.to(memory_format=torch.channels_last)
    groups = instantiate(config.optim.groups)
    make_optimizer = instantiate(config.optim.optimizer)
    return MultiTaskPose(
        network=network,
        tasks=tasks,
        balance=FixedWeights(plain(config.row)["weights"]),
        metrics=build_metrics(config),
        optimizer=lambda net: make_optimizer(groups(net)),
        scheduler=instantiate(config.optim.scheduler),
        config=plain(config),
        seed=config.seed,
    )


def start_from_statistics(model: MultiTaskPose, data: PoseDataModule, mean_outputs: bool) -> None:
    """Give the net its training set's mean image and, on wish, the mean answers as biases of its last layers."""
    train = data.plain["train"]
    model.network.mean_image.copy_(train.mean_image())
    for name, task in model.tasks.items():
        constant = task.constant_output(train.mean_pose_px())
        if mean_outputs and constant is not None and name in model.balance.active:
            with torch.no_grad():
                model.network.head(name).last.bias.copy_(constant)


def mean_pose_metrics(config: DictConfig, model: MultiTaskPose, data: PoseDataModule) -> dict[str, float]:
    """What a net that gives the training set's mean pose for every test image would score: same people, same code."""
    pose = data.plain["train"].mean_pose_px()
    constants = {name: task.constant_output(pose) for name, task in model.tasks.items()}
    known = {name: constant for name, constant in constants.items() if constant is not None}
    metrics = MetricCollection([m for name in known for m in build_metrics(config).get(name, [])], compute_groups=False)
    errors, people = dict.fromkeys(known, 0.0), 0
    for batch in data.evaluation_loader("test"):
        size = len(batch["image"])
        outputs = {name: constant.expand(size, -1) for name, constant in known.items()}
        targets = {name: model.tasks[name].target(batch["joints_px"]) for name in known}
        metrics.update(**model.view(batch, outputs, targets))
        people += size
        for name, output in outputs.items():
            errors[name] += float(model.tasks[name].loss(output, targets[name])) * size
    found = {key: float(value) for key, value in metrics.compute().items()}
    return {**{f"{name}_error": total / people for name, total in errors.items()}, **found}

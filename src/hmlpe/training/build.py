"""Build the datamodule, the LightningModule and the precision from settings. `_target_` is the registry of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torchmetrics import Metric

from hmlpe.balance import Balance
from hmlpe.data.collection import box_rules, configured_attributes
from hmlpe.data.datamodule import PoseDataModule
from hmlpe.data.pack import Pack
from hmlpe.data.record import Attribute
from hmlpe.errors import UserError
from hmlpe.files import digest_of, digest_of_file
from hmlpe.runs.folder import settings_of_identity
from hmlpe.settings import DataSettings, build_component
from hmlpe.tasks import Task
from hmlpe.training.checkpoint import KEY, epoch_from_name, read_checkpoint
from hmlpe.training.devices import gpu_count, threads_per_process, world_size
from hmlpe.training.module import MultiTaskPose, metric_collection, task_error_metric
from hmlpe.training.ranks import rank_and_world
from hmlpe.training.settings import ModelSettings, TrainSettings


# Settings on which no result depends, or which enter a run's identity elsewhere. All other settings are part of the
# identity, so that a new setting cannot be forgotten.
def resolve_precision(setting: str, accelerator: str) -> str:
    """Return Lightning's name of the precision for the setting `trainer.precision`.

    "auto" gives "bf16-mixed" where the hardware multiplies bf16, else "32-true".

    On a CPU without bf16 instructions autocast falls back to code many times slower than fp32, so it is not used there.
    """
    if setting != "auto":
        return setting
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"
    has_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if has_bf16 else "32-true"


def config_digest(settings: TrainSettings, include_row: bool = True) -> str:
    """Return a digest of all settings that a result depends on; the seed, the data and the code are not part of it.

    Args:
        settings: the settings of the run.
        include_row: False leaves out what the rows of a study differ in: the row itself, its balance, and the settings
            that `varies` names.
    """
    trainer = settings.trainer
    on_gpu = gpu_count(trainer.accelerator) > 0
    found = settings_of_identity(settings.tree)
    found |= {
        "init_from": start_checkpoint_digest(settings),
        "heads": None if settings.init_from is None else found["heads"],
    }
    found["trainer"] |= {
        "accelerator": "gpu" if on_gpu else "cpu",
        "threads": None if on_gpu else threads_per_process(trainer),  # the order of sums depends on it
        "devices": world_size(trainer),  # dropout and the order of sums depend on it
        "precision": resolve_precision(trainer.precision, trainer.accelerator),
    }
    kept = {
        key: value for key, value in found.items() if include_row or key not in ("row", "balance", *settings.varies)
    }
    return digest_of(_ints_for_whole_floats(kept))


def _ints_for_whole_floats(value: Any) -> Any:
    """Convert floats that are whole numbers to ints, so that a weight of 1.0 and one of 1 give the same digest."""
    if isinstance(value, dict):
        return {key: _ints_for_whole_floats(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_ints_for_whole_floats(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def start_checkpoint_digest(settings: TrainSettings) -> str | None:
    """Return a digest of the code, data and configuration that made the checkpoint from which a run starts.

    Checkpoints that differ only in the seed have the same digest. None for a run that starts from scratch.
    """
    if settings.init_from is None:
        return None
    path = Path(settings.init_from)
    made_by = read_checkpoint(path)[KEY].get("made_by")
    if not made_by:
        return digest_of_file(path)
    epoch = epoch_from_name(path)  # None for a checkpoint chosen by validation, whose epoch differs from seed to seed
    return digest_of(made_by if epoch is None else [made_by, epoch])


def build_data(settings: TrainSettings, eval_size_px: int | None = None) -> PoseDataModule:
    """Return the datamodule that loads this process's share of the prepared pack.

    Args:
        settings: the settings of the run.
        eval_size_px: side of the input of an existing network that is only evaluated: then crops are not augmented, and
            the batch size is 1, so that a few people are enough. None: a network of the settings' own input size is
            trained.

    Raises:
        UserError: there is no pack, or it does not fit the settings.
    """
    (rank, world), of = rank_and_world(), settings.data
    data = PoseDataModule(
        pack=of.pack,
        skeleton=build_component("skeleton", settings.skeleton),
        augmentation=build_component("augment", settings.augment) if eval_size_px is None else None,
        size_px=eval_size_px or settings.size_px,
        sides=of.sides,
        use_occluded=of.use_occluded,
        validation_fraction=of.validation.fraction,
        split_seed=of.validation.seed,
        subset=of.subset,
        batch_size=settings.optim.batch_size if eval_size_px is None else 1,
        workers=settings.trainer.workers,
        seed=settings.seed,
        train_sets=of.train_sets,
        test_sets=of.test_sets,
        balanced=of.balanced,
        rank=rank,
        world=world,
    )
    check_pack_settings(of, data.pack)
    return data


def check_pack_settings(data: DataSettings, pack: Pack) -> None:
    """Raise UserError if the pack was prepared with other boxes, attributes or crops than the settings `data` say."""
    manifest = pack.manifest
    rules = box_rules(data, list(manifest["boxes"]))
    unknown = sorted(set(manifest["boxes"]) - set(rules))
    if unknown:
        raise UserError(
            f"data: the pack {data.pack} holds {unknown[0]}, which this configuration does not; use the same data "
            "settings as for hmlpe-prepare"
        )
    for name, attributes in configured_attributes(data, list(rules)).items():
        if set(attributes) != set(pack.attributes_of(name)):
            raise UserError(
                f"data.source.attributes: the pack {data.pack} was prepared with other attributes of {name} "
                f"({_attributes_in_words(pack.attributes_of(name))}) than these ({_attributes_in_words(attributes)}); "
                "run hmlpe-prepare again"
            )
    wanted = {
        "boxes": rules,
        **{key: getattr(data, key) for key in ("crop_px", "near_duplicates", "keep_neighbours")},
    }
    other = [key for key, value in wanted.items() if manifest[key] != value]
    if other:
        raise UserError(
            f"data.{other[0]}: the pack {data.pack} was prepared with another value; run hmlpe-prepare again"
        )


def _attributes_in_words(attributes: Sequence[Attribute]) -> str:
    return "; ".join(f"{one.name}: {', '.join(one.classes) or 'numbers'}" for one in attributes) or "none"


def build_tasks(settings: ModelSettings, attributes: Sequence[str] | None = ()) -> dict[str, Task]:
    """Return the tasks that have something to learn, by name.

    Args:
        settings: the settings of the model.
        attributes: names of the attributes of the data's people, to which the tasks are bound. None: the tasks are not
            bound, as there are no data and no target will be computed.

    Raises:
        UserError: a task with a positive weight has nothing to learn, or a task needs an attribute that is missing.
    """
    tasks: dict[str, Task] = {name: build_component(f"tasks.{name}", task) for name, task in settings.tasks.items()}
    for name, task in tasks.items():
        if not task.outputs and settings.weights[name]:
            raise UserError(
                f"skeleton.parts: names no part, so that the task {name} has nothing to learn; name parts, e.g. "
                f"'skeleton.parts={{face: [nose, left_ear]}}', or train without it: row=regression_only"
            )
    for name, task in tasks.items() if attributes is not None else ():
        try:
            task.bind(attributes or ())
        except UserError as error:
            raise UserError(f"tasks.{name}: {error}") from None
    return {name: task for name, task in tasks.items() if task.outputs}


def build_balance(settings: ModelSettings) -> Balance:
    """Return the configured balance, built with the row's weights.

    Raises:
        UserError: the balance cannot be built, is not a `Balance`, or rejects the weights.
    """
    found = build_component("balance", settings.balance_config, _convert_="all")
    if not isinstance(found, Balance):
        raise UserError(f"balance._target_: must name a hmlpe.balance.Balance, got {settings.balance['_target_']!r}")
    return found


def build_metrics(settings: ModelSettings) -> dict[str, dict[str, Metric]]:
    """Return the metrics by the name of the task whose output they read, then by their own names."""
    return {
        task: {name: build_component(f"metrics.{task}.{name}", metric) for name, metric in (named or {}).items()}
        for task, named in settings.metrics.items()
    }


def build_model(
    settings: ModelSettings, tasks: dict[str, Task], made_by: Mapping[str, str] | None = None
) -> MultiTaskPose:
    """Return the LightningModule with weights drawn from the settings' seed.

    Args:
        settings: the settings of the model.
        tasks: the tasks, by name.
        made_by: digests of configuration, code and data, which checkpoints carry.
    """
    torch.manual_seed(settings.seed)
    optim = settings.optim
    network = build_component("network", settings.network, outputs={name: task.outputs for name, task in tasks.items()})
    build_component("optim.init", optim.init)(network)
    network.to(memory_format=torch.channels_last)
    groups = build_component("optim.groups", optim.groups)
    make_optimizer = build_component("optim.optimizer", optim.optimizer)
    return MultiTaskPose(
        network=network,
        tasks=tasks,
        balance=build_balance(settings),
        metrics=build_metrics(settings),
        optimizer=lambda net, balance: make_optimizer(groups(net, balance=balance)),
        scheduler=None if optim.scheduler is None else build_component("optim.scheduler", optim.scheduler),
        config=settings.tree,
        made_by=made_by or {},
        seed=settings.seed,
    )


def set_mean_image_and_biases(model: MultiTaskPose, data: PoseDataModule, mean_outputs: bool) -> None:
    """Set the network's mean image to that of the training people and, if wanted, its biases to output their mean pose.

    Args:
        model: the module, changed in place.
        data: the datamodule whose training people are averaged.
        mean_outputs: whether the bias of each active head's last layer is set to the task's `constant_output`.
    """
    train = data.plain["train"]
    model.network.mean_image.copy_(train.mean_image())
    for name, task in model.tasks.items():
        constant = task.constant_output(train.mean_pose_px())
        if mean_outputs and constant is not None and name in model.balance.active:
            with torch.no_grad():
                model.network.head(name).output_layer.bias.copy_(constant)


def mean_pose_metrics(
    settings: TrainSettings, model: MultiTaskPose, data: PoseDataModule, split: str = "test"
) -> dict[str, float]:
    """Return the scores of a baseline that predicts the training set's mean pose for every image.

    They are computed on the same people and by the same code as the scores of a trained network.
    """
    pose = data.plain["train"].mean_pose_px()
    constants = {name: task.constant_output(pose) for name, task in model.tasks.items()}
    known = {name: constant for name, constant in constants.items() if constant is not None}
    metrics = metric_collection(build_metrics(settings), known)
    errors = {name: task_error_metric(name, model.tasks[name]) for name in known}
    for batch in data.evaluation_loader(split):
        size = len(batch["image"])
        outputs = {name: constant.expand(size, -1) for name, constant in known.items()}
        targets = {name: model.tasks[name].target(batch) for name in known}
        metrics.update(**model.metric_inputs(batch, outputs, targets))
        for name, output in outputs.items():
            errors[name].update(model.tasks[name].sample_errors(output, targets[name]), targets[name].has_known)
    found = {key: float(value) for key, value in metrics.compute().items()}
    own = {key: float(value) for error in errors.values() for key, value in error.compute().items()}
    return own | found

"""Load a trained network from a checkpoint, rebuilt from the configuration beside its weights, and run it in torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from hmlpe.data.boxes import BoxRule
from hmlpe.errors import UserError
from hmlpe.network import HeterogeneousNet
from hmlpe.predict.estimator import BoxFactors, ModelCard, Poses
from hmlpe.predict.model import FIRES, PoseModel, check_fires
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task
from hmlpe.training.checkpoint import KEY, read_checkpoint
from hmlpe.training.trusted import build_trusted, config_arguments, naming_file_in_errors
from hmlpe.windows import WindowGrid

PREFIX = "network."  # how the names of the network's weights begin in the LightningModule's state dict
DESIGN = ("skeleton", "tasks", "network", "row")
"""The keys of a run's configuration from which `build_model` rebuilds the network."""
DEVICES = ("cpu", "cuda")


class TrainedModel(NamedTuple):
    """A trained network that estimates poses, in evaluation mode on the CPU.

    Attributes:
        model: the network with the decoding of its outputs.
        card: its model card.
        config: the configuration that it was rebuilt from, with at least the keys of `DESIGN`.
    """

    model: PoseModel
    card: ModelCard
    config: Mapping[str, Any]


def load_trained(path: Path, fires: float | int | None = FIRES, trust: Sequence[str] = ()) -> TrainedModel:
    """Load the network from a checkpoint of hmlpe-train. No code in the file is executed.

    Args:
        path: the checkpoint.
        fires: the probability above which a window counts as a detection, or None (see `PoseModel`).
        trust: packages other than this one whose tasks and networks may be built: their code is run.

    Raises:
        UserError: there is no such file, it is not a checkpoint, it needs a package that is not trusted, its network
            predicts no joints, or its weights do not fit its configuration.
    """
    check_fires(fires)  # checked here, as it is a setting and a mistake in it must not be blamed on the file
    content = read_checkpoint(path)
    with naming_file_in_errors(path):
        config, state = content[KEY]["config"], content["state_dict"]
        weights = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        model = build_model(config, weights, fires, trust)
        return TrainedModel(model, model_card_of(config, content[KEY].get("made_by") or {}), config)


def build_model(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], fires: float | int | None, trust: Sequence[str] = ()
) -> PoseModel:
    """Build the network from its configuration and weights, with the heads of the tasks that it was trained for.

    Args:
        config: the configuration, of which the keys of `DESIGN` are read.
        weights: the network's state dict.
        fires: the probability above which a window counts as a detection, or None (see `PoseModel`).
        trust: see `load_trained`.

    Raises:
        UserError: the network was not trained to give joints, its weights are not finite, or it needs a package that is
            not trusted.
    """
    trained = trained_tasks(config)
    tasks: dict[str, Task] = {name: build_trusted(config["tasks"][name], trust) for name in trained}
    regression = next(((name, task) for name, task in tasks.items() if isinstance(task, JointRegression)), None)
    detection = next(((name, task) for name, task in tasks.items() if isinstance(task, PartDetection)), None)
    if regression is None:
        raise UserError(
            f"was trained for {' and '.join(trained) or 'nothing'} alone and gives no joints; "
            "train with a weight for the joint regression"
        )
    network = build_trusted(config["network"], trust, outputs={name: task.outputs for name, task in tasks.items()})
    if not isinstance(network, HeterogeneousNet):
        raise UserError(f"its network is a {type(network).__name__}, not a HeterogeneousNet")
    network.load_state_dict(_without_untrained_heads(weights, tasks))
    poses = (regression, detection)
    others = [(name, task) for name, task in tasks.items() if all(one is None or name != one[0] for one in poses)]
    model = PoseModel(network, Skeleton(**config_arguments(config["skeleton"])), regression, detection, fires, others)
    return model.eval().requires_grad_(False)


def trained_tasks(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the tasks whose weight in the loss was above 0."""
    return tuple(str(name) for name in config["tasks"] if config["row"]["weights"].get(name, 0) > 0)


def model_card_of(config: Mapping[str, Any], made_by: Mapping[str, str]) -> ModelCard:
    """Build the model card of a run's network.

    Args:
        config: the run's configuration.
        made_by: digests of the code, data and configuration that the run was made with.
    """
    windows = WindowGrid(**config_arguments(config["windows"]))
    return ModelCard(
        name=f"{config['study']}/{config['row']['name']}_s{config['seed']}",
        skeleton=Skeleton(**config_arguments(config["skeleton"])),
        size_px=int(config["size_px"]),
        windows={key: float(getattr(windows, key)) for key in ("count", "stride_px", "extent_px", "beta")},
        factors=box_factors_of(config["data"]),
        tasks=trained_tasks(config),
        made_by={str(key): str(value) for key, value in made_by.items()},
    )


def _without_untrained_heads(weights: Mapping[str, Tensor], tasks: Mapping[str, Task]) -> dict[str, Tensor]:
    """Return the state dict with no heads but those of `tasks`. Raises UserError if a weight is not finite."""
    found = {}
    for name, value in weights.items():
        if name.startswith("heads.") and name.split(".")[1] not in tasks:
            continue
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(f"its weights are broken ({name} is not finite); train again")
        found[name] = value
    return found


class TorchEstimator:
    """An `Estimator` that runs a network in torch, in exact fp32.

    Args:
        trained: the network; it is moved to the device.
        device: cpu or cuda.
        threads: the number of CPU threads of the whole process; None leaves it as it is.

    Raises:
        UserError: there is no such device.
    """

    def __init__(self, trained: TrainedModel, device: str = "cpu", threads: int | None = None) -> None:
        if device not in DEVICES:
            raise UserError(f"device: must be one of {', '.join(DEVICES)}, got {device!r}")
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("device: there is no GPU here that torch can use; set device=cpu")
        if device == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # by default, convolutions round to TF32
        if threads is not None:
            torch.set_num_threads(threads)
        self.card, self.device = trained.card, torch.device(device)
        self.model = trained.model.to(self.device)
        self.model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its types

    @torch.inference_mode()
    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """Estimate the poses in RGB crops, whose side is `card.size_px`."""
        image = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(self.device)
        return Poses.from_outputs({name: value.cpu().numpy() for name, value in self.model(image).items()})


class CheckpointEstimator(TorchEstimator):
    """A `TorchEstimator` that runs the network of a checkpoint of hmlpe-train.

    Args:
        path: the checkpoint.
        device, threads: see `TorchEstimator`.
        fires: the probability above which a window counts as a detection, or None (see `PoseModel`).
        trust: see `load_trained`.

    Raises:
        UserError: the checkpoint cannot be loaded (see `load_trained`), or there is no such device.
    """

    def __init__(
        self,
        path: Path,
        device: str = "cpu",
        threads: int | None = None,
        fires: float | int | None = FIRES,
        trust: Sequence[str] = (),
    ) -> None:
        super().__init__(load_trained(path, fires, trust), device, threads)


def box_factors_of(data: Mapping[str, Any]) -> BoxFactors | None:
    """Return the factors from detected upper-body boxes to boxes of crops, by the data that a network was trained on.

    They are (across, up, down) of `geometry.scale_box`. With several data sets, they are the mean over the training
    sets that have such factors; None if no set has any.

    Args:
        data: the node `data` of a run's configuration.

    Raises:
        UserError: the configured rule for boxes is not valid.
    """
    if "known" not in data:
        return _box_factors_of_set(data)
    chosen = data.get("train_sets") or data.get("sets") or list(data["known"])
    names = [chosen] if isinstance(chosen, str) else chosen
    found = [
        one for one in (_box_factors_of_set(data["known"][name]) for name in names if name in data["known"]) if one
    ]
    if not found:
        return None
    across, up, down = (sum(values) / len(found) for values in zip(*found, strict=True))
    return across, up, down


def _box_factors_of_set(config: Mapping[str, Any]) -> BoxFactors | None:
    """Return the factors of the data set with this configuration.

    None if it has none, or if its boxes are made by a class other than `BoxRule`.
    """
    boxes = config["boxes"]
    if boxes["_target_"] != f"{BoxRule.__module__}.{BoxRule.__qualname__}":
        return None
    return BoxRule(**config_arguments(boxes)).factors_from_window

"""A trained network out of a file, rebuilt from the configuration beside its weights, and poses by it in torch."""

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
from hmlpe.predict.estimator import Card, Factors, Poses
from hmlpe.predict.model import FIRES, PoseModel, check_fires
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import JointRegression, PartDetection, Task
from hmlpe.training.checkpoint import KEY, read_checkpoint
from hmlpe.training.trusted import arguments, blame_file, build
from hmlpe.windows import WindowGrid


def factors_of(data: Mapping[str, Any]) -> Factors | None:
    """(across, up, down) of `geometry.scale_box` for the crops of a network trained on this data configuration.

    With several sets it is the mean over the training sets that have a rule for windows; None if none has.

    Raises:
        UserError: a rule of boxes is none.
    """
    if "known" not in data:
        return _of_set(data)
    chosen = data.get("train_sets") or data.get("sets") or list(data["known"])
    names = [chosen] if isinstance(chosen, str) else chosen
    found = [one for one in (_of_set(data["known"][name]) for name in names if name in data["known"]) if one]
    if not found:
        return None
    across, up, down = (sum(values) / len(found) for values in zip(*found, strict=True))
    return across, up, down


def _of_set(config: Mapping[str, Any]) -> Factors | None:
    """The factors of one set; None if it has none, or makes its boxes by a class of its user's own."""
    boxes = config["boxes"]
    if boxes["_target_"] != f"{BoxRule.__module__}.{BoxRule.__qualname__}":
        return None
    return BoxRule(**arguments(boxes)).from_window


PREFIX = "network."  # of the weights, in the LightningModule's state
DESIGN = ("skeleton", "tasks", "network", "row")
"""The settings that `build_model` reads."""


class Trained(NamedTuple):
    """A network that estimates poses, in evaluation mode on the CPU.

    Attributes:
        model: the network with its outputs read.
        card: what it says of itself.
        config: the configuration it was rebuilt from, at least its `DESIGN`.
    """

    model: PoseModel
    card: Card
    config: Mapping[str, Any]


def load_trained(path: Path, fires: float | int | None = FIRES, trust: Sequence[str] = ()) -> Trained:
    """The network of a checkpoint of hmlpe-train. Nothing in the file is executed.

    Args:
        fires: see `PoseModel`.
        trust: packages beside this one whose tasks and networks may be built: what they hold is run.

    Raises:
        UserError: no such file, no checkpoint, one that asks for another package, one of a network that gives no
            joints, or one that does not fit its own configuration.
    """
    check_fires(fires)  # a setting, and not the file's fault
    content = read_checkpoint(path)
    with blame_file(path):
        config, state = content[KEY]["config"], content["state_dict"]
        weights = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        model = build_model(config, weights, fires, trust)
        return Trained(model, card_of(config, content[KEY].get("made_by") or {}), config)


def build_model(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], fires: float | int | None, trust: Sequence[str] = ()
) -> PoseModel:
    """The network from its `DESIGN` and its weights, with the heads of the tasks that it was trained for.

    Args:
        trust: see `load_trained`.

    Raises:
        UserError: it was not trained to give joints, its weights are broken, or it asks for another package.
    """
    trained = trained_tasks(config)
    tasks: dict[str, Task] = {name: build(config["tasks"][name], trust) for name in trained}
    regression = next(((name, task) for name, task in tasks.items() if isinstance(task, JointRegression)), None)
    detection = next(((name, task) for name, task in tasks.items() if isinstance(task, PartDetection)), None)
    if regression is None:
        raise UserError(
            f"was trained for {' and '.join(trained) or 'nothing'} alone and gives no joints; "
            "train with a weight for the joint regression"
        )
    network = build(config["network"], trust, outputs={name: task.outputs for name, task in tasks.items()})
    if not isinstance(network, HeterogeneousNet):
        raise UserError(f"its network is a {type(network).__name__}, not a HeterogeneousNet")
    network.load_state_dict(_checked(weights, tasks))
    poses = (regression, detection)
    others = [(name, task) for name, task in tasks.items() if all(one is None or name != one[0] for one in poses)]
    model = PoseModel(network, Skeleton(**arguments(config["skeleton"])), regression, detection, fires, others)
    return model.eval().requires_grad_(False)


def trained_tasks(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the tasks that had a weight."""
    return tuple(str(name) for name in config["tasks"] if config["row"]["weights"].get(name, 0) > 0)


def card_of(config: Mapping[str, Any], made_by: Mapping[str, str]) -> Card:
    """What a run's configuration says of its network."""
    windows = WindowGrid(**arguments(config["windows"]))
    return Card(
        name=f"{config['study']}/{config['row']['name']}_s{config['seed']}",
        skeleton=Skeleton(**arguments(config["skeleton"])),
        size_px=int(config["size_px"]),
        windows={key: float(getattr(windows, key)) for key in ("count", "stride_px", "extent_px", "beta")},
        factors=factors_of(config["data"]),
        tasks=trained_tasks(config),
        made_by={str(key): str(value) for key, value in made_by.items()},
    )


def _checked(weights: Mapping[str, Tensor], used: Mapping[str, Task]) -> dict[str, Tensor]:
    """The weights without the heads that are not used. Raises UserError if one is not finite."""
    found = {}
    for name, value in weights.items():
        if name.startswith("heads.") and name.split(".")[1] not in used:
            continue
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(f"its weights are broken ({name} is not finite); train again")
        found[name] = value
    return found


DEVICES = ("cpu", "cuda")


class TorchEstimator:
    """Implements `predict.estimator.Estimator`, in exact fp32.

    Args:
        trained: the network; it is moved to the device.
        device: cpu or cuda.
        threads: of the CPU, for the whole process; None leaves them as they are.

    Raises:
        UserError: the device is not there.
    """

    def __init__(self, trained: Trained, device: str = "cpu", threads: int | None = None) -> None:
        if device not in DEVICES:
            raise UserError(f"device: must be one of {', '.join(DEVICES)}, got {device!r}")
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("device: there is no GPU here that torch can use; set device=cpu")
        if device == "cuda":
            torch.backends.cudnn.allow_tf32 = False  # the default rounds inside convolutions
        if threads is not None:
            torch.set_num_threads(threads)
        self.card, self.device = trained.card, torch.device(device)
        self.model = trained.model.to(self.device)
        self.model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its types

    @torch.inference_mode()
    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """The poses in RGB crops of `card.size_px`."""
        image = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(self.device)
        return Poses.of({name: value.cpu().numpy() for name, value in self.model(image).items()})


class CheckpointEstimator(TorchEstimator):
    """The same, from a checkpoint of hmlpe-train.

    Args:
        path: the checkpoint.
        device, threads: see `TorchEstimator`.
        fires: see `PoseModel`.
        trust: see `load_trained`.

    Raises:
        UserError: as `load_trained` and `TorchEstimator`.
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

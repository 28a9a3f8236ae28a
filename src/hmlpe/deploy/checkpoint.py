"""Poses by torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from hmlpe.deploy.model import FIRES
from hmlpe.deploy.trained import Trained, load_trained
from hmlpe.errors import UserError
from hmlpe.predict.estimator import Poses

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

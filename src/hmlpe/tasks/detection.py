"""Part detection: which windows contain which part? (paper section 3.2)"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from hmlpe.skeleton import Skeleton
from hmlpe.tasks.task import Sample, Target, Task
from hmlpe.windows import WindowGrid

MAPS = "media/part_maps"


class PartDetection(Task):
    """E_d = sum over parts and windows of the cross-entropy; one classifier for each part at each window.

    A part with an unknown end counts in none of its windows.

    Args:
        skeleton: the parts; without any there is nothing to learn, and no output.
        windows: the grid and the indicator.
    """

    symbol, digits = "d", 2
    pictures = (MAPS,)

    def __init__(self, skeleton: Skeleton, windows: WindowGrid) -> None:
        self.skeleton, self.windows = skeleton, windows
        self.ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)

    @property
    def outputs(self) -> int:
        """One logit for every part and window: index part * windows + window."""
        return len(self.ends) * len(self.windows)

    def target(self, sample: Sample) -> Target:
        """The indicator of every part and window, (batch, part * window)."""
        return self._of_joints(sample["joints_px"])

    def _of_joints(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        sticks = joints_px[:, self.ends.to(joints_px.device)]  # batch, part, end, xy
        known = sticks.isfinite().flatten(2).all(-1, keepdim=True).expand(-1, -1, len(self.windows))
        return Target(self.windows.contains(sticks).float().flatten(1), known.flatten(1))

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Cross-entropy of each logit."""
        return torch.nn.functional.binary_cross_entropy_with_logits(output, values, reduction="none")

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """part_maps (batch, part, window): the probability that the window contains the part."""
        return {"part_maps": output.float().sigmoid().reshape(-1, len(self.ends), len(self.windows))}

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """part_truth (batch, part, window): 1 where the window contains the part, NaN where that is unknown."""
        known = target.values.where(target.known, torch.nan)
        return {"part_truth": known.reshape(-1, len(self.ends), len(self.windows))}

    def kept(self, found: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """part_maps_predicted and part_maps_true (person, part, row, column), probability x 255; 0 where unknown."""
        names = {"part_maps_predicted": "part_maps", "part_maps_true": "part_truth"}
        return {name: bytes_of(found[source]) for name, source in names.items()}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], found: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Predicted and true maps of three people."""
        from hmlpe.pictures import part_maps  # matplotlib waits until it is wanted

        predicted, truth = (square(found[name][:3]) for name in ("part_maps", "part_truth"))
        return {MAPS: part_maps(crops[:3], predicted, truth, list(self.skeleton.parts))}


def bytes_of(maps: Float[Tensor, "person item window"]) -> UInt8[np.ndarray, "person item row column"]:
    """Probabilities, NaN where unknown -> 0 to 255."""
    return square((maps.nan_to_num() * 255).round().to(torch.uint8).numpy())


def square(maps: Shaped[np.ndarray, "person item window"]) -> Shaped[np.ndarray, "person item row column"]:
    """Windows as the square grid that they are."""
    side = round(maps.shape[-1] ** 0.5)
    return maps.reshape(*maps.shape[:-1], side, side)

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
    """Part detection with one binary classifier for each part at each window of a grid.

    The error E_d is the sum of the cross-entropy over parts and windows. A part with an unknown end counts in none of
    its windows.

    Args:
        skeleton: the skeleton that names the parts; without parts there is nothing to learn, and no output.
        windows: the grid of windows, and the indicator that says which windows contain a part.
    """

    symbol, digits = "d", 2
    pictures = (MAPS,)

    def __init__(self, skeleton: Skeleton, windows: WindowGrid) -> None:
        self.skeleton, self.windows = skeleton, windows
        self.ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)

    @property
    def outputs(self) -> int:
        """Return the number of logits: one for each part and window, at index part * number of windows + window."""
        return len(self.ends) * len(self.windows)

    def target(self, sample: Sample) -> Target:
        """Return the indicator of each part and window, (batch, part * window): 1 if the window contains the part."""
        return self._target_of_joints(sample["joints_px"])

    def _target_of_joints(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        sticks = joints_px[:, self.ends.to(joints_px.device)]  # batch, part, end, xy
        known = sticks.isfinite().flatten(2).all(-1, keepdim=True).expand(-1, -1, len(self.windows))
        return Target(self.windows.contains(sticks).float().flatten(1), known.flatten(1))

    def element_loss(
        self, output: Float[Tensor, "batch output"], values: Float[Tensor, "batch output"]
    ) -> Float[Tensor, "batch output"]:
        """Return the binary cross-entropy of each logit."""
        return torch.nn.functional.binary_cross_entropy_with_logits(output, values, reduction="none")

    def decode(self, output: Float[Tensor, "batch output"]) -> dict[str, Tensor]:
        """Return part_maps (batch, part, window): the probability that the window contains the part."""
        return {"part_maps": output.float().sigmoid().reshape(-1, len(self.ends), len(self.windows))}

    def truth(self, target: Target, sample: Sample) -> dict[str, Tensor]:
        """Return part_truth (batch, part, window): 1 where the window contains the part, NaN where that is unknown."""
        known = target.values.where(target.known, torch.nan)
        return {"part_truth": known.reshape(-1, len(self.ends), len(self.windows))}

    def stored_arrays(self, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Return part_maps_predicted and part_maps_true (person, part, row, column).

        Values are probability x 255, and 0 where the ground truth is unknown.
        """
        names = {"part_maps_predicted": "part_maps", "part_maps_true": "part_truth"}
        return {name: probabilities_to_bytes(inputs[source]) for name, source in names.items()}

    def draw(
        self, crops: UInt8[np.ndarray, "person size size 3"], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """Return a dict with one named picture: the predicted and true part maps of the first three people."""
        from hmlpe.pictures import draw_part_maps  # imported here, as it loads matplotlib

        predicted, truth = (windows_to_grid(inputs[name][:3]) for name in ("part_maps", "part_truth"))
        return {MAPS: draw_part_maps(crops[:3], predicted, truth, list(self.skeleton.parts))}


def probabilities_to_bytes(maps: Float[Tensor, "person item window"]) -> UInt8[np.ndarray, "person item row column"]:
    """Convert probabilities of windows (NaN where unknown) to square grids of bytes: probability x 255; unknown: 0."""
    return windows_to_grid((maps.nan_to_num() * 255).round().to(torch.uint8).numpy())


def windows_to_grid(maps: Shaped[np.ndarray, "person item window"]) -> Shaped[np.ndarray, "person item row column"]:
    """Return the values of the windows, a list per map, reshaped to the square grid that the windows form."""
    side = round(maps.shape[-1] ** 0.5)
    return maps.reshape(*maps.shape[:-1], side, side)

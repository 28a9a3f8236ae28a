"""Part detection: which windows contain which part? (paper section 3.2)"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hmlpe.skeleton import Skeleton
from hmlpe.tasks.task import Target, Task
from hmlpe.windows import WindowGrid


class PartDetection(Task):
    """E_d = sum over parts and windows of the cross-entropy; one classifier for each part at each window.

    A part with an unknown end counts in none of its windows.

    Args:
        skeleton: the parts; without any there is nothing to learn, and no output.
        windows: the grid and the indicator.
    """

    def __init__(self, skeleton: Skeleton, windows: WindowGrid) -> None:
        self.windows = windows
        self.ends = torch.tensor(skeleton.part_ends, dtype=torch.long).reshape(-1, 2)

    @property
    def outputs(self) -> int:
        """One logit for every part and window: index part * windows + window."""
        return len(self.ends) * len(self.windows)

    def target(self, joints_px: Float[Tensor, "batch joint 2"]) -> Target:
        """The indicator of every part and window, (batch, part * window)."""
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

    def truth(self, target: Target) -> dict[str, Tensor]:
        """part_truth (batch, part, window): 1 where the window contains the part, NaN where that is unknown."""
        known = target.values.where(target.known, torch.nan)
        return {"part_truth": known.reshape(-1, len(self.ends), len(self.windows))}

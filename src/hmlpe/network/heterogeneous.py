"""The whole network (paper section 3, figure 2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hmlpe.network.layers import Head, Trunk


class HeterogeneousNet(nn.Module):
    """A trunk that all tasks share, and one head for each task.

    Feature maps of the faithful trunk (maps x side, FACTS 3) for an input of 112 pixels:

        input  3 x 112   conv1 32 x 104   pool1 32 x 52   conv2 16 x 48   pool2 16 x 24   conv3 16 x 20   pool3 16 x 10

    Args:
        trunk: the shared layers.
        head: factory that makes a head from the keyword arguments `inputs` and `outputs`.
        outputs: number of outputs per task, by the task's name.
        size_px: side of the input crop in pixels.
        scale: factor by which the input is multiplied after the mean image has been subtracted; 1 keeps the original's
            0-255 range.
    """

    mean_image: Tensor

    def __init__(
        self, trunk: Trunk, head: Callable[..., Head], outputs: Mapping[str, int], size_px: int, scale: float
    ) -> None:
        super().__init__()
        self.trunk, self.scale = trunk, scale
        maps, height, width = trunk.output_shapes(size_px)[-1]
        self.heads = nn.ModuleDict({n: head(inputs=maps * height * width, outputs=k) for n, k in outputs.items()})
        self.register_buffer("mean_image", torch.zeros(3, size_px, size_px))

    def head(self, task: str) -> Head:
        """Return the head of the task with this name."""
        head = self.heads[task]
        assert isinstance(head, Head)
        return head

    def forward(
        self, image: UInt8[Tensor, "batch 3 size size"], tasks: Collection[str] | None = None
    ) -> dict[str, Float[Tensor, "batch _"]]:
        """Return the outputs of the named tasks, or of all tasks; heads that are not named do not run.

        The image is RGB, 0-255.
        """
        return self.head_outputs(self.features(image), tasks)

    def features(self, image: UInt8[Tensor, "batch 3 size size"]) -> Float[Tensor, "_ feature"]:
        """Return the trunk's features of the images, (batch, feature), flattened: the input of all heads.

        The images are RGB, 0-255; the mean image is subtracted here.
        """
        x = (image.to(self.mean_image.dtype) - self.mean_image) * self.scale
        features: Tensor = self.trunk(x.contiguous(memory_format=torch.channels_last)).flatten(1)
        return features

    def head_outputs(
        self, features: Float[Tensor, "batch feature"], tasks: Collection[str] | None = None
    ) -> dict[str, Float[Tensor, "batch _"]]:
        """Return the outputs of the named tasks' heads, or of all heads, for features of the trunk."""
        return {name: head(features) for name, head in self.heads.items() if tasks is None or name in tasks}

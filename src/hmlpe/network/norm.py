"""Batch normalisation over the global batch, on any device: torch's SyncBatchNorm has none for the CPU."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch import distributed as dist


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose training statistics are those of the batches of all processes together.

    With one process, and in evaluation, it is nn.BatchNorm2d; so is its state in a checkpoint. All processes have
    batches of the same size.
    """

    def forward(self, x: Float[Tensor, "batch map height width"]) -> Float[Tensor, "batch map height width"]:
        """Normalise each map: the mean first, then the squared deviations, as one pass over sums loses digits."""
        parallel = self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if not parallel:
            return super().forward(x)
        world, momentum = dist.get_world_size(), self.momentum
        assert momentum is not None and self.running_mean is not None and self.running_var is not None
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(self.weight.dtype)
            mean = total(wide.mean((0, 2, 3))) / world
            centred = wide - mean[:, None, None]
            variance = total(centred.square().mean((0, 2, 3))) / world
            count = x.numel() // x.shape[1] * world
            with torch.no_grad():
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
            factor = self.weight * (variance + self.eps).rsqrt()
            return (centred * factor[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def total(value: Float[Tensor, " map"]) -> Float[Tensor, " map"]:
    """The sum over all processes, differentiable."""
    found: Tensor = Total.apply(value)  # type: ignore[no-untyped-call]
    return found


class Total(torch.autograd.Function):
    """The sum over all processes. What one process puts in counts in the loss of each, so the gradients add up too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Sum of the values."""
        found = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Sum of the gradients."""
        return Total.forward(ctx, gradients[0])

"""The layers of trunk and heads, with batch normalisation or as in the paper (paper section 3; FACTS 3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch import distributed as dist

from hmlpe.errors import UserError


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """An nn.BatchNorm2d whose training statistics are taken over the batches of all processes together.

    With one process, and in evaluation, it behaves like nn.BatchNorm2d; its state in a checkpoint is that of
    nn.BatchNorm2d, too. All processes must have batches of the same size.
    """

    def forward(self, x: Float[Tensor, "batch map height width"]) -> Float[Tensor, "batch map height width"]:
        """Return `x` with each feature map normalised to zero mean and unit variance, then scaled and shifted.

        The mean is computed first, then the squared deviations from it: one pass over sums would lose digits.
        """
        parallel = self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if not parallel:
            return super().forward(x)
        world, momentum = dist.get_world_size(), self.momentum
        assert momentum is not None and self.running_mean is not None and self.running_var is not None
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(self.weight.dtype)
            mean = all_reduce_sum(wide.mean((0, 2, 3))) / world
            centred = wide - mean[:, None, None]
            variance = all_reduce_sum(centred.square().mean((0, 2, 3))) / world
            count = x.numel() // x.shape[1] * world
            with torch.no_grad():
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (count / (count - 1)), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
            factor = self.weight * (variance + self.eps).rsqrt()
            return (centred * factor[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def all_reduce_sum(value: Float[Tensor, " map"]) -> Float[Tensor, " map"]:
    """Return the elementwise sum of a tensor over all processes; gradients flow through it."""
    found: Tensor = AllReduceSum.apply(value)  # type: ignore[no-untyped-call]
    return found


class AllReduceSum(torch.autograd.Function):
    """The sum over all processes as an autograd function.

    The value of one process enters the loss of every process, so the backward pass sums the gradients as well.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Return the sum of the values over all processes."""
        found = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return the sum of the gradients over all processes."""
        return AllReduceSum.forward(ctx, gradients[0])


class Dropout(nn.Module):
    """Dropout that keeps a unit with probability `keep`, scaled as in the original or as in torch (FACTS 3).

    Args:
        keep: probability of keeping a unit, in (0, 1].
        scaling: "original" scales by 1 in training and by `keep` in evaluation; "inverted" is torch's: by 1 / `keep`
            in training and by 1 in evaluation. With either, the expectation is the same in training and evaluation.

    Raises:
        UserError: `keep` or `scaling` has another value.
    """

    def __init__(self, keep: float, scaling: str) -> None:
        super().__init__()
        if not 0 < keep <= 1 or scaling not in ("original", "inverted"):
            raise UserError(f"dropout: keep must be in (0, 1], scaling original or inverted, got {keep}, {scaling!r}")
        self.keep, self.scaling = keep, scaling

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop units in training mode, and scale the output as `scaling` says."""
        if self.training:
            x = nn.functional.dropout(x, 1 - self.keep, training=True)
        return x * self.keep if self.scaling == "original" else x


class Trunk(nn.Sequential):
    """Stages of convolution, pooling, normalisation and activation, without padding; pooling rounds up (FACTS 3).

    Args:
        stages: one mapping per stage: `maps` (number of feature maps), `kernel` (side in pixels), `relu` (whether a
            ReLU follows).
        pool: kernel and stride of every max pooling. Pooling before the ReLU gives the same values as after it, at
            lower cost.
        norm: "none", "batch" (after each pooling) or "lrn" (local response normalisation after each pooling; the
            companion paper's network has a single one, after conv2).

    Raises:
        UserError: `norm` has another value.
    """

    def __init__(self, stages: Sequence[Mapping[str, Any]], pool: Sequence[int], norm: str = "none") -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        maps = 3
        for i, stage in enumerate(stages, start=1):
            layers[f"conv{i}"] = nn.Conv2d(maps, stage["maps"], stage["kernel"])
            layers[f"pool{i}"] = nn.MaxPool2d(pool[0], pool[1], ceil_mode=True)
            maps = stage["maps"]
            if norm == "batch":
                layers[f"norm{i}"] = GlobalBatchNorm2d(maps)
            elif norm == "lrn":
                layers[f"norm{i}"] = nn.LocalResponseNorm(
                    5, alpha=0.0025, beta=0.75
                )  # alpha, beta: grade I; size: grade U
            elif norm != "none":
                raise UserError(f"network.trunk.norm: must be none, batch or lrn, got {norm!r}")
            if stage["relu"]:
                layers[f"relu{i}"] = nn.ReLU()
        super().__init__(layers)

    def output_shapes(self, size_px: int) -> list[tuple[int, int, int]]:
        """Return (maps, height, width) of a square input, then of the output of each convolution and pooling, in order.

        Args:
            size_px: side of the input in pixels.
        """
        device = next(self.parameters()).device
        x, found = torch.zeros(1, 3, size_px, size_px, device=device), [(3, size_px, size_px)]
        with torch.no_grad():
            for layer in self:
                if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                    x = layer(x)
                    found.append((int(x.shape[1]), int(x.shape[2]), int(x.shape[3])))
        return found


class Head(nn.Sequential):
    """Three fully connected layers, with dropout after the first (FACTS 3).

    Args:
        inputs: number of the trunk's features.
        outputs: number of the task's outputs.
        hidden: widths of the first two layers.
        keep, scaling: see `Dropout`.
    """

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int], keep: float, scaling: str) -> None:
        super().__init__(
            OrderedDict(
                fc1=nn.Linear(inputs, hidden[0]),
                relu1=nn.ReLU(),
                dropout=Dropout(keep, scaling),
                fc2=nn.Linear(hidden[0], hidden[1]),
                relu2=nn.ReLU(),
                fc3=nn.Linear(hidden[1], outputs),
            )
        )

    @property
    def output_layer(self) -> nn.Linear:
        """Return the last layer, which computes the task's outputs."""
        layer = self.fc3
        assert isinstance(layer, nn.Linear)
        return layer

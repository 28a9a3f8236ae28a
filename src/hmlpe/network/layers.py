"""The layers of trunk and heads, normalised or as in the paper (paper section 3; FACTS 3)."""

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


class Dropout(nn.Module):
    """Dropout that keeps a unit with probability `keep`, scaled as the original or as torch does (FACTS 3).

    Args:
        keep: probability of keeping, in (0, 1].
        scaling: "original" scales by 1 in training and by `keep` in evaluation; "inverted" is torch's: by 1 / `keep`
            in training and by 1 in evaluation. Each has the same expectation in its two modes.
    """

    def __init__(self, keep: float, scaling: str) -> None:
        super().__init__()
        if not 0 < keep <= 1 or scaling not in ("original", "inverted"):
            raise UserError(f"dropout: keep must be in (0, 1], scaling original or inverted, got {keep}, {scaling!r}")
        self.keep, self.scaling = keep, scaling

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop units in training mode, scale as said above."""
        if self.training:
            x = nn.functional.dropout(x, 1 - self.keep, training=True)
        return x * self.keep if self.scaling == "original" else x


class Trunk(nn.Sequential):
    """Stages of convolution, pooling, normalisation, activation; no padding, pooling rounds up (FACTS 3).

    Args:
        stages: per stage: maps, kernel, relu.
        pool: kernel and stride of every max pooling. Pooling before ReLU gives the same values as after it, for less.
        norm: "none", "batch" (after each pooling) or "lrn" (after each pooling; the companion has one, after conv2).
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
                layers[f"norm{i}"] = nn.LocalResponseNorm(5, alpha=0.0025, beta=0.75)  # I; size U
            elif norm != "none":
                raise UserError(f"network.trunk.norm: must be none, batch or lrn, got {norm!r}")
            if stage["relu"]:
                layers[f"relu{i}"] = nn.ReLU()
        super().__init__(layers)

    def shapes(self, size_px: int) -> list[tuple[int, int, int]]:
        """(maps, height, width) after the input, each convolution and each pooling, for a square input."""
        device = next(self.parameters()).device
        x, found = torch.zeros(1, 3, size_px, size_px, device=device), [(3, size_px, size_px)]
        with torch.no_grad():
            for layer in self:
                if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                    x = layer(x)
                    found.append((int(x.shape[1]), int(x.shape[2]), int(x.shape[3])))
        return found


class Head(nn.Sequential):
    """Three fully connected layers, dropout after the first (FACTS 3).

    Args:
        inputs: features of the trunk.
        outputs: of the task.
        hidden: widths of the first two layers.
        keep, scaling: of `Dropout`.
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
    def last(self) -> nn.Linear:
        """The layer that makes the task's outputs."""
        layer = self.fc3
        assert isinstance(layer, nn.Linear)
        return layer

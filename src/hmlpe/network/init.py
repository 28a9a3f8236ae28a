"""How weights start: the original's Gaussians, or He's rule."""

from __future__ import annotations

import torch
from torch import nn

from hmlpe.network.heterogeneous import HeterogeneousNet


def gaussian_(network: HeterogeneousNet, conv1: float, conv: float, fc: float) -> None:
    """Gaussian weights with the given standard deviations, zero biases, in place (FACTS 4, grade C)."""
    first = True
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = fc if isinstance(module, nn.Linear) else conv1 if first else conv
            first = False
            nn.init.normal_(module.weight, std=std)
            _zero_bias(module)


def he_(network: HeterogeneousNet, last: float) -> None:
    """He's normal rule (fan in, ReLU), zero biases, in place; each head's last layer Gaussian with std `last`."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            _zero_bias(module)
    for task in network.heads:
        nn.init.normal_(network.head(task).last.weight, std=last)


def _zero_bias(module: nn.Conv2d | nn.Linear) -> None:
    if module.bias is not None:
        with torch.no_grad():
            module.bias.zero_()

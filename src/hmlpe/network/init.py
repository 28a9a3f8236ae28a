"""Weight initialisation: the original's Gaussians, or He's rule."""

from __future__ import annotations

import torch
from torch import nn

from hmlpe.network.heterogeneous import HeterogeneousNet


def gaussian_(network: HeterogeneousNet, conv1: float, conv: float, fc: float) -> None:
    """Draw Gaussian weights with the given standard deviations and set biases to zero, in place (FACTS 4, grade C).

    Args:
        network: the network to initialise.
        conv1: standard deviation of the first convolution's weights.
        conv: standard deviation of the other convolutions' weights.
        fc: standard deviation of the fully connected layers' weights.
    """
    first = True
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            std = fc if isinstance(module, nn.Linear) else conv1 if first else conv
            first = False
            nn.init.normal_(module.weight, std=std)
            _zero_bias(module)


def he_(network: HeterogeneousNet, last: float) -> None:
    """Draw weights by He's normal rule (fan-in, ReLU) and set biases to zero, in place.

    Each head's last layer is drawn from a Gaussian with standard deviation `last` instead.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            _zero_bias(module)
    for task in network.heads:
        nn.init.normal_(network.head(task).output_layer.weight, std=last)


def _zero_bias(module: nn.Conv2d | nn.Linear) -> None:
    if module.bias is not None:
        with torch.no_grad():
            module.bias.zero_()

"""Parameter groups with their own learning rate or weight decay, and the one-cycle schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR


def parameter_groups(
    network: nn.Module,
    lr: float,
    bias_lr: float,
    conv_decay: float,
    fc_decay: float,
    balance: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Return the optimiser's parameter groups, as the paper's recipe and the modern one need them.

    The groups are the convolutions' weights, the fully connected layers' weights, and biases together with the
    parameters of normalisation layers, which have no weight decay. Groups without parameters are left out.

    Args:
        network: the network.
        lr, bias_lr: learning rates of weights and of biases (FACTS 4: biases learn four times as fast).
        conv_decay, fc_decay: weight decay of the two kinds of weights.
        balance: the balance; if it has parameters, they form a last group, with the learning rate of biases and without
            weight decay.
    """
    conv: list[nn.Parameter] = []
    fc: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            is_weight = name == "weight" and isinstance(module, nn.Conv2d | nn.Linear)
            chosen = rest if not is_weight else conv if isinstance(module, nn.Conv2d) else fc
            if parameter.requires_grad:
                chosen.append(parameter)
    groups = [
        {"params": conv, "lr": lr, "weight_decay": conv_decay},
        {"params": fc, "lr": lr, "weight_decay": fc_decay},
        {"params": rest, "lr": bias_lr, "weight_decay": 0.0},
        {"params": list(balance.parameters()) if balance else [], "lr": bias_lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> OneCycleLR:
    """Return torch's one-cycle schedule.

    The learning rate rises to each group's own rate over the first 30 % of the steps, then falls to almost zero.
    """
    return OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps, cycle_momentum=False
    )

"""Parameter groups: what has its own learning rate or decay in the paper's recipe and in the modern one."""

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
    """Groups for an optimiser: convolution weights, fully connected weights, and biases with normalisation (no decay).

    Args:
        balance: whose parameters learn as biases do, in a last group of their own, if it has any.
        lr, bias_lr: learning rates of weights and of biases (FACTS 4: biases learn four times as fast).
        conv_decay, fc_decay: weight decay of the two kinds of weights.
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
    """Up to each group's own rate over the first 30 % of the steps, then down to nearly nothing (torch's one-cycle)."""
    return OneCycleLR(
        optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps, cycle_momentum=False
    )

"""One backward pass for each task, for a balance that combines their gradients at the trunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hmlpe.balance import Balance, Moment
from hmlpe.network import HeterogeneousNet
from hmlpe.training.ranks import mean_of_all


def backward_apart(
    network: HeterogeneousNet,
    balance: Balance,
    terms: Mapping[str, Float[Tensor, ""]],
    extra: Float[Tensor, ""] | None,
    moment: Moment,
) -> None:
    """Add to the parameters' gradients: at the trunk what the balance makes of the terms', elsewhere those of the sum.

    All gradients are the means over all ranks, which walk the tasks in the same order, as the way back through the
    global normalisation needs them all. Nobody else may average them: no parameter's own accumulation takes part, on
    which torch's DDP waits.

    Args:
        terms, extra: of the balance, as the forward pass left them.
    """
    of_heads = {id(p) for head in network.heads.values() for p in head.parameters()}
    shared = [p for p in network.parameters() if p.requires_grad and id(p) not in of_heads]
    learned = [p for p in balance.parameters() if p.requires_grad]
    size, last, found = sum(p.numel() for p in shared), list(terms)[-1], {}
    for task, term in terms.items():
        own = [*(p for p in network.heads[task].parameters() if p.requires_grad), *learned]
        gradient = _gradient(term, [*shared, *own], keep=task != last)
        found[task] = gradient[:size]
        _add(own, gradient[size:])
    _add(shared, balance.checked_combine(found, moment))
    if extra is not None and learned:
        _add(learned, _gradient(extra, learned))


def _gradient(
    value: Float[Tensor, ""], parameters: Sequence[nn.Parameter], keep: bool = False
) -> Float[Tensor, " value"]:
    """In one vector, the mean over all ranks; zero where the value does not depend on a parameter."""
    parts = torch.autograd.grad(value, parameters, retain_graph=keep, allow_unused=True, materialize_grads=True)
    return mean_of_all(torch.cat([part.flatten() for part in parts]))


def _add(parameters: Sequence[nn.Parameter], gradient: Float[Tensor, " value"]) -> None:
    """Add the vector's parts to the parameters' gradients, which lie in memory as the parameters do."""
    for parameter, part in zip(parameters, gradient.split([p.numel() for p in parameters]), strict=True):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        parameter.grad += part.view_as(parameter)

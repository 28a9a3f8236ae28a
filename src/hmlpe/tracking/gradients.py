"""Measure whether the tasks pull the trunk in the same direction: norms and cosines of their gradients there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

Reduce = Callable[[Float[Tensor, " value"]], Float[Tensor, " value"]]


def task_gradients(
    losses: Mapping[str, Float[Tensor, ""]], parameters: Sequence[nn.Parameter]
) -> dict[str, Float[Tensor, " value"]]:
    """Return the gradient of each task's loss with respect to the parameters, flattened to one vector, by task.

    The graph is retained, and the parameters' own gradients are not changed.

    Args:
        losses: the losses by task, with their graph.
        parameters: the parameters, which must be trainable; the gradient is zero where a loss does not depend on them.
    """
    found = {}
    for task, loss in losses.items():
        parts = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        found[task] = torch.cat([part.detach().flatten().float() for part in parts])
    return found


def norms_and_cosines(gradients: Mapping[str, Float[Tensor, " value"]]) -> dict[str, float]:
    """Return the norms of the tasks' gradients and the cosine similarities between them.

    Args:
        gradients: the flattened gradient of each task.

    Returns:
        `norm_<task>` for each task, and `cosine` for two tasks, or `cosine_<a>_<b>` for each pair of more tasks. A
        cosine is NaN if one of the gradients is zero.
    """
    found = {f"norm_{task}": float(gradient.norm()) for task, gradient in gradients.items()}
    for a, b in combinations(gradients, 2):
        product = float(torch.dot(gradients[a], gradients[b]))
        lengths = found[f"norm_{a}"] * found[f"norm_{b}"]
        found["cosine" if len(gradients) == 2 else f"cosine_{a}_{b}"] = product / lengths if lengths else float("nan")
    return found


def layer_norms_and_cosines(
    gradients: Mapping[str, Float[Tensor, " value"]], parameters: Mapping[str, nn.Parameter]
) -> dict[str, float]:
    """Return the result of `norms_and_cosines` for the weights of each layer, as `<layer>/norm_<task>` and so on.

    Biases and the parameters of normalisation layers are left out.

    Args:
        gradients: the result of `task_gradients` for these parameters.
        parameters: the parameters by their names, e.g. "conv1.weight", in which the layer precedes the last dot.
    """
    sizes = [parameter.numel() for parameter in parameters.values()]
    parts = {task: gradient.split(sizes) for task, gradient in gradients.items()}
    found: dict[str, float] = {}
    for index, (name, parameter) in enumerate(parameters.items()):
        if parameter.ndim > 1:
            layer = name.rpartition(".")[0].rpartition(".")[2] or name
            numbers = norms_and_cosines({task: part[index] for task, part in parts.items()})
            found |= {f"{layer}/{key}": value for key, value in numbers.items()}
    return found

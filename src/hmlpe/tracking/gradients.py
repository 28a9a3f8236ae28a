"""Do the tasks pull the trunk the same way? Norms of their gradients there, and the cosine between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

Reduce = Callable[[Float[Tensor, " value"]], Float[Tensor, " value"]]


def gradients_at(
    losses: Mapping[str, Float[Tensor, ""]], parameters: Sequence[nn.Parameter]
) -> dict[str, Float[Tensor, " value"]]:
    """Each loss's gradient at the parameters, in one vector. The graph stays, and so do the parameters' own gradients.

    Args:
        losses: by task, as the forward pass left them.
        parameters: that learn; those that a loss does not reach have zeros.
    """
    found = {}
    for task, loss in losses.items():
        parts = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        found[task] = torch.cat([part.detach().flatten().float() for part in parts])
    return found


def diagnose(gradients: Mapping[str, Float[Tensor, " value"]]) -> dict[str, float]:
    """`norm_<task>` of each, and `cosine` between two, `cosine_<a>_<b>` where there are more; NaN of no gradient."""
    found = {f"norm_{task}": float(gradient.norm()) for task, gradient in gradients.items()}
    for a, b in combinations(gradients, 2):
        product = float(torch.dot(gradients[a], gradients[b]))
        lengths = found[f"norm_{a}"] * found[f"norm_{b}"]
        found["cosine" if len(gradients) == 2 else f"cosine_{a}_{b}"] = product / lengths if lengths else float("nan")
    return found


def diagnose_layers(
    gradients: Mapping[str, Float[Tensor, " value"]], parameters: Mapping[str, nn.Parameter]
) -> dict[str, float]:
    """The same for each layer's weights alone, as `<layer>/norm_<task>` and so on; biases and norms are left out.

    Args:
        gradients: of `gradients_at`, at these parameters.
        parameters: by their names; the layer's is what stands before the last dot.
    """
    sizes = [parameter.numel() for parameter in parameters.values()]
    parts = {task: gradient.split(sizes) for task, gradient in gradients.items()}
    found: dict[str, float] = {}
    for index, (name, parameter) in enumerate(parameters.items()):
        if parameter.ndim > 1:
            layer = name.rpartition(".")[0].rpartition(".")[2] or name
            numbers = diagnose({task: part[index] for task, part in parts.items()})
            found |= {f"{layer}/{key}": value for key, value in numbers.items()}
    return found

"""Maps that are taken away: what each joint's error and each part's detection lose without a map's information."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from hmlpe.inside.fields import in_evaluation
from hmlpe.network import HeterogeneousNet
from hmlpe.tasks import JointRegression, PartDetection, Task

LARGEST = 16_000_000
"""Values of a layer at once, for all copies of a batch: 64 MB."""


class Loss(NamedTuple):
    """What the network loses without a map, which answers its mean over people instead.

    Attributes:
        joints_px: (map, joint) growth of the mean joint error, in crop pixels; empty without a joint regression.
        parts: (map, part) growth of the part's share of E_d; empty without a part detection.
    """

    joints_px: Float[np.ndarray, "map joint"]
    parts: Float[np.ndarray, "map part"]


@torch.inference_mode()
def removed(
    network: HeterogeneousNet,
    tasks: dict[str, Task],
    layer: str,
    mean: Float[Tensor, "map row column"],
    crops: UInt8[np.ndarray, "person size size 3"],
    rows: Int[np.ndarray, " person"],
    joints_px: Float[Tensor, "person joint 2"],
    words: str | None = None,
) -> Loss:
    """Take each map of a layer away in turn. The layers before it run once for all of them.

    Args:
        tasks: those that were trained, by their heads' names.
        mean: what the maps answer on average, at each place.
        joints_px: of the people, NaN where unknown, in pixels of the crops.
        words: beside a progress bar; None: none is shown.
    """
    names, copies = list(tasks), len(mean) + 1
    device = next(network.parameters()).device
    joints_px, mean = joints_px.to(device), mean.to(device)
    batch = min(64, max(1, LARGEST // (copies * mean.numel())))
    sums: dict[str, Tensor] = {}
    with (
        in_evaluation(network),
        _without_each(network.get_submodule(layer), mean),
        tqdm(total=len(rows), desc=words, unit="people", disable=None if words else True) as bar,
    ):
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            images = torch.from_numpy(np.array(crops[part])).permute(0, 3, 1, 2).contiguous().to(device)
            truth = joints_px[start : start + batch]
            outputs = network.answers(network.features(images), names)
            for name, found in _errors(tasks, outputs, truth, copies).items():
                sums[name] = sums[name] + found if name in sums else found
            bar.update(len(part))
    means = {name: (total[:, :, 0] / total[:, :, 1]).numpy() for name, total in sums.items()}  # NaN: known of nobody
    growth = {name: values[1:] - values[:1] for name, values in means.items()}  # the first is the whole network
    empty = np.zeros((len(mean), 0))
    return Loss(growth.get("joints", empty), growth.get("parts", empty))


def _errors(
    tasks: dict[str, Task], outputs: dict[str, Tensor], truth: Float[Tensor, "person joint 2"], copies: int
) -> dict[str, Float[Tensor, "copy item 2"]]:
    """Sum of the errors and number of people who count, by copy of the network and item."""
    found = {}
    for name, task in tasks.items():
        if isinstance(task, JointRegression):
            joints = task.decode(outputs[name])["predicted_crop_px"].unflatten(0, (copies, len(truth)))
            error, key = (joints - truth).norm(dim=-1), "joints"
        elif isinstance(task, PartDetection):
            target = task.target({"joints_px": truth})
            values, known = (one.repeat(copies, 1) for one in target)
            each = task.element_loss(outputs[name], values).where(known, torch.nan)
            error, key = each.unflatten(1, (-1, len(task.windows))).sum(-1).unflatten(0, (copies, len(truth))), "parts"
        else:
            continue
        counts = error.isfinite()
        found[key] = torch.stack([error.where(counts, 0.0).sum(1), counts.sum(1).float()], dim=-1).double().cpu()
    return found


@contextmanager
def _without_each(module: nn.Module, mean: Float[Tensor, "map row column"]) -> Iterator[None]:
    """While it holds, a layer answers to a batch several times: as it is, then without its first map, and so on."""

    def replace(_: nn.Module, args: Any, output: Tensor) -> Tensor:
        every = torch.cat([output] * (len(mean) + 1))  # keeps the layout in memory, on which speed depends
        for number, one in enumerate(mean, start=1):
            every[number * len(output) : (number + 1) * len(output), number - 1] = one
        return every

    handle = module.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()

"""What a row is called: by its weights, unless it is given a name. It names the folder of the row's runs."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from hmlpe.errors import UserError

BASE = "regression"  # whose weight is 1 where a name does not say it
SHORT = {"detection": "det"}
LONGEST = 255  # bytes of a file's name


def name_of_weights(weights: Any) -> str:
    """`det_0.1` for {regression: 1, detection: 0.1}; tasks of weight 0 are left out.

    A task that is alone is `<task>_only`. Other weights have another name. (What is no mapping of weights is refused
    later, by who reads it.)
    """
    if not isinstance(weights, Mapping):
        return "no_weights"
    said = {str(task): _number(weight) for task, weight in weights.items()}
    active = {task: weight for task, weight in said.items() if weight != "0"}
    if len(active) == 1:
        ((task, weight),) = active.items()
        return f"{task}_only" + ("" if weight == "1" else f"_{weight}")
    parts = [f"{SHORT.get(task, task)}_{weight}" for task, weight in active.items() if (task, weight) != (BASE, "1")]
    return "_".join(parts) or "no_task"


def _number(weight: Any) -> str:
    if isinstance(weight, int | float) and not isinstance(weight, bool):
        return repr(float(weight) + 0.0).removesuffix(".0")  # -0.0 is 0
    return str(weight)


def check_row_name(name: object, seed: object) -> None:
    """Raise UserError unless the runs of a row of this name can have folders that a report finds."""
    folder = f"{name}_s{seed}"
    control = any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in folder)
    if not str(name).strip() or "/" in folder or control:
        raise UserError(f"row.name: must be a plain name, as a folder gets it, got {str(name)!r}")
    size = len(os.fsencode(folder))
    if size > LONGEST:
        raise UserError(f"row.name: is too long for a folder's name: {size} bytes with its seed, of {LONGEST}")


if not OmegaConf.has_resolver("name_of_weights"):
    OmegaConf.register_new_resolver("name_of_weights", name_of_weights)

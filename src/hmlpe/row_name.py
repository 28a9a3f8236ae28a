"""The name of a row, which names the folders of its runs; unless configured, it is made of weights and balance."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from hmlpe.errors import UserError

BASE = "regression"  # the task whose weight is left out of a row's name when it is 1
FIXED = "fixed"  # the balance that is left out of a row's name
SHORT_NAMES = {"detection": "det"}
MAX_NAME_BYTES = 255  # of the name of a file or folder


def name_of_weights(weights: Any) -> str:
    """Return the name of a row by its weights; tasks of weight 0 are left out.

    A row that trains one task alone is named `<task>_only`. Different weights have different names. If `weights` is not
    a mapping, the name is a placeholder: the code that reads the weights refuses them later.

    >>> name_of_weights({"regression": 1, "detection": 0.1})
    'det_0.1'
    >>> name_of_weights({"regression": 1, "detection": 0})
    'regression_only'
    """
    if not isinstance(weights, Mapping):
        return "no_weights"
    said = {str(task): _format_weight(weight) for task, weight in weights.items()}
    active = {task: weight for task, weight in said.items() if weight != "0"}
    if len(active) == 1:
        ((task, weight),) = active.items()
        return f"{task}_only" + ("" if weight == "1" else f"_{weight}")
    parts = [
        f"{SHORT_NAMES.get(task, task)}_{weight}" for task, weight in active.items() if (task, weight) != (BASE, "1")
    ]
    return "_".join(parts) or "no_task"


def name_of_balance(balance: Any) -> str:
    """Return the `name` in the configuration of a balance, or else the name of its class in lower case."""
    config = balance if isinstance(balance, Mapping) else {}
    return str(config.get("name") or str(config.get("_target_", "none")).rpartition(".")[2].lower())


def name_of_row(weights: Any, balance: Any) -> str:
    """Return the name of a row, e.g. `det_0.1`, or `det_0.1_<balance>` unless the balance is fixed weights."""
    own = name_of_balance(balance)
    return name_of_weights(weights) + ("" if own == FIXED else f"_{own}")


def _format_weight(weight: Any) -> str:
    """Format a weight without trailing zeros."""
    if isinstance(weight, int | float) and not isinstance(weight, bool):
        return repr(float(weight) + 0.0).removesuffix(".0")  # -0.0 is 0
    return str(weight)


def check_row_name(name: object, seed: object) -> None:
    """Raise UserError unless `<name>_s<seed>` can be the name of a run's folder, in which a report finds the run."""
    folder = f"{name}_s{seed}"
    control = any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in folder)
    if not str(name).strip() or "/" in folder or control:
        raise UserError(f"row.name: must be a plain name, as it names a folder, got {str(name)!r}")
    size = len(os.fsencode(folder))
    if size > MAX_NAME_BYTES:
        raise UserError(
            f"row.name: is too long for a folder name: {size} bytes with its seed, at most {MAX_NAME_BYTES}"
        )


if not OmegaConf.has_resolver("name_of_row"):
    OmegaConf.register_new_resolver("name_of_row", name_of_row)

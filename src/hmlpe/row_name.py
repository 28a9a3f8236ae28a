"""What a row is called: by its weights and its balance, unless it is given a name, by which its runs' folders go."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from hmlpe.errors import UserError

BASE = "regression"  # whose weight is 1 where a name does not say it
FIXED = "fixed"  # the balance that a name does not say
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


def name_of_balance(balance: Any) -> str:
    """What its configuration calls it; without that, its class's name in lower case."""
    config = balance if isinstance(balance, Mapping) else {}
    return str(config.get("name") or str(config.get("_target_", "none")).rpartition(".")[2].lower())


def name_of_row(weights: Any, balance: Any) -> str:
    """`det_0.1`, see `name_of_weights`; of another balance than fixed weights `det_0.1_<its name>`."""
    own = name_of_balance(balance)
    return name_of_weights(weights) + ("" if own == FIXED else f"_{own}")


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


if not OmegaConf.has_resolver("name_of_row"):
    OmegaConf.register_new_resolver("name_of_row", name_of_row)

"""Import wandb only when it is needed, as it takes a second, and handle W&B's environment variables of single runs."""

from __future__ import annotations

import logging
import os
from types import ModuleType

log = logging.getLogger(__name__)


# W&B's environment variables that select one run, or belong to another program: with them, all runs of a sweep would be
# written into one. (This program sets the name, group, project and folder of a run, whatever the environment says.)
_SINGLE_RUN_NAMES = (
    "RUN_ID",
    "RESUME",
    "RESUME_FROM",
    "FORK_FROM",
    "SWEEP_ID",
    "SWEEP_PARAM_PATH",
    "X_FILES_DIR",
    "SERVICE",
)
SINGLE_RUN_VARIABLES = tuple(f"WANDB_{name}" for name in _SINGLE_RUN_NAMES)


def remove_single_run_variables() -> None:
    """Remove W&B's variables that select a single run from the environment, with a warning that names them.

    It is called before this process and its children do several runs, each of which is to be a W&B run of its own.
    """
    found = [name for name in SINGLE_RUN_VARIABLES if os.environ.pop(name, None) is not None]
    if found:
        log.warning("%s: ignored, as it selects one W&B run, but every run of a sweep has its own", ", ".join(found))


def load_wandb() -> ModuleType:
    """Import and return wandb.

    W&B reports its own errors to its makers unless told otherwise; here it does so only if the user has allowed it.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb

"""wandb, loaded when it is asked for: that takes a second, and not everyone wants it. What its environment may say."""

from __future__ import annotations

import logging
import os
from types import ModuleType

log = logging.getLogger(__name__)


# What of W&B's environment singles out one run, or is another program's: a sweep's runs would be written into one. (The
# name, group, project and folder of a run are ours to say, whatever the environment says.)
_OF_ONE_RUN = ("RUN_ID", "RESUME", "RESUME_FROM", "FORK_FROM", "SWEEP_ID", "SWEEP_PARAM_PATH", "X_FILES_DIR", "SERVICE")
OF_ONE_RUN = tuple(f"WANDB_{name}" for name in _OF_ONE_RUN)


def forget_one_run() -> None:
    """Drop these from the environment, and say so: what follows in this process and its children is several runs."""
    found = [name for name in OF_ONE_RUN if os.environ.pop(name, None) is not None]
    if found:
        log.warning("%s: ignored, as it is of one W&B run, and every run of a sweep is its own", ", ".join(found))


def load_wandb() -> ModuleType:
    """The module. It reports its own errors to its makers unless told otherwise, which is for the user to allow."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb

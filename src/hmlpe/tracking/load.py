"""wandb, loaded when it is asked for: that takes seconds, and not everyone wants it."""

from __future__ import annotations

import os
from types import ModuleType


def load_wandb() -> ModuleType:
    """The module. It reports its own errors to its makers unless told otherwise, which is for the user to allow."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb

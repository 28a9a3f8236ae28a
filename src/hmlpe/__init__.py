"""HMLPE: does the detection task help the pose regression, and at what weight?

From Python: `load`, `compose`, `build`, `train` and `Study` (docs/python.md); they are loaded when they are asked for.
"""

from importlib import import_module
from typing import Any

__all__ = ["Study", "build", "compose", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("hmlpe.api"), name)
    raise AttributeError(f"module 'hmlpe' has no attribute {name!r}")

"""HMLPE: does the detection task help the pose regression, and at what weight?

The Python interface (docs/python.md) is `load`, `compose`, `build`, `train`, `inspect` and `Study`; each is imported on
first use.
"""

from importlib import import_module
from typing import Any

__all__ = ["Study", "build", "compose", "inspect", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("hmlpe.api"), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("hmlpe")
    raise AttributeError(f"module 'hmlpe' has no attribute {name!r}")

"""The files of the configuration, parsed once for all times that a test or a fork of the warm server composes them."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import IO, Any

from omegaconf import OmegaConf

_load, _kept = OmegaConf.load, dict[tuple[str, int, int], Any]()


def load(file: str | Path | IO[Any]) -> Any:
    """As OmegaConf does; what has been read from an unchanged file is copied."""
    if isinstance(file, str | Path) or not isinstance(getattr(file, "name", None), str):
        return _load(file)
    found = os.fstat(file.fileno())
    key = (os.path.abspath(file.name), found.st_mtime_ns, found.st_size)
    if key not in _kept:
        _kept[key] = _load(file)
    return copy.deepcopy(_kept[key])


def keep() -> None:
    OmegaConf.load = staticmethod(load)

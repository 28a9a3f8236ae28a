"""Build what a file's configuration names, and nothing else that it could name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from hydra.utils import get_object, instantiate
from torch import nn

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import Task
from hmlpe.windows import WindowGrid

PARTS = (nn.Module, Task, Skeleton, WindowGrid)  # metrics and balances are modules
OPTIMISERS = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
PLAIN = ("hmlpe.network.init", "hmlpe.training.optim")  # whose functions only make numbers, for optimisers


@contextmanager
def blame_file(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside is the file's fault, and said in one line."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # a file that was made or damaged by anyone can fail anywhere
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{path}: its network cannot be rebuilt from what the file says ({type(error).__name__}: {reason})"
        ) from error


def build(config: Mapping[str, Any], trust: Sequence[str] = (), **given: Any) -> Any:
    """Instantiate a network, or a task, from a file's configuration.

    `_target_` may name any callable, and a file may come from anyone: only parts of this package are built, and of
    those that the user trusts.

    Args:
        trust: names of packages.
        given: arguments beside the configured ones.

    Raises:
        UserError: something else is asked for, or a trusted package does not import.
    """
    check(config, trust)
    return instantiate(config, **given)


def check(config: Any, trust: Sequence[str] = (), optimisers: bool = False) -> None:
    """Raise UserError if a file's configuration asks for something else; see `build`.

    Of Hydra's own words, `_args_` is walked through as all else is; `_partial_`, `_recursive_` and `_convert_` change
    when and as what arguments are handed on, not what is called.

    Args:
        optimisers: whether those, and what makes their settings, may be built too.
    """
    trust = (trust,) if isinstance(trust, str) else trust
    for one in walk_config(config):
        if isinstance(one, str) and "${" in one:  # Hydra would resolve it, and a resolver can call anything
            raise UserError(f"its configuration holds {one[:80]!r}, which was to be resolved before it was written")
        if not isinstance(one, Mapping | list | tuple | str | int | float | None):
            raise UserError(f"its configuration holds a {type(one).__name__}")
        if isinstance(one, Mapping) and "_target_" in one:
            _check_target(one["_target_"], trust, optimisers)


def _check_target(target: object, trust: Sequence[str], optimisers: bool) -> None:
    asked = f"its configuration asks for {target!r}"
    module, _, name = str(target).rpartition(".")
    package = module.partition(".")[0]
    trusted = package in trust
    if trusted:
        _check_import(module, package)
    elif package != "hmlpe" and not (optimisers and f"{module}.".startswith("torch.optim.")):  # not even imported
        raise _foreign(asked, package or str(target))
    found = _found(module, name) if isinstance(target, str) else None
    defined = str(getattr(found, "__module__", None) or "")  # where, wherever its name was imported to
    owner = defined.partition(".")[0]
    if _ours(found, defined, optimisers) or (trusted and owner in trust):
        return
    if trusted and owner not in ("", "hmlpe"):
        raise _foreign(asked, owner)
    raise UserError(f"{asked}, which is no part of a network of {package}")


def _foreign(asked: str, package: str) -> UserError:
    return UserError(f"{asked}, of another package, which would be run; if you trust that: trust=[{package}]")


def _check_import(module: str, package: str) -> None:
    try:
        import_module(module)
    except Exception as error:  # a package may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise UserError(f"trust: {package}: {module} does not import ({said}); install the package") from error


def _found(module: str, name: str) -> Any:
    """What the module of this very name calls so; None if there is none, or Hydra has another.

    (It follows attributes: `hmlpe.training.optim.torch` is torch, and everything that torch imports is below.)
    """
    try:
        there = import_module(module)
    except (ImportError, ValueError):
        return None
    found = getattr(there, name, None)
    return found if there.__name__ == module and found is not None and get_object(f"{module}.{name}") is found else None


def _ours(found: Any, defined: str, optimisers: bool) -> bool:
    """Whether it is a network's part, a task, a skeleton or a window grid of this package, or of an optimiser."""
    if isinstance(found, type) and issubclass(found, PARTS):
        return defined.startswith("hmlpe.")
    if optimisers and isinstance(found, type) and issubclass(found, OPTIMISERS):
        return defined.startswith("torch.optim.")
    return optimisers and isinstance(found, FunctionType) and defined in PLAIN


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a node, without Hydra's own words."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def walk_config(value: Any) -> Iterator[Any]:
    """A configuration's value, and all keys and values below."""
    yield value
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from walk_config(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from walk_config(one)

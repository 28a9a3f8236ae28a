"""Build the objects that a file's configuration names, but only objects of classes that are allowed."""

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

PARTS = (nn.Module, Task, Skeleton, WindowGrid)  # metrics and balances are nn.Modules, too
OPTIMISERS = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
PLAIN = ("hmlpe.network.init", "hmlpe.training.optim")  # modules whose functions only compute numbers


@contextmanager
def blame_file(path: Path) -> Iterator[None]:
    """Turn any error inside the `with` block into a one-line UserError that names the file as its cause."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # a file that anyone may have made or damaged can cause any error
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{path}: its network cannot be rebuilt from what the file says ({type(error).__name__}: {reason})"
        ) from error


def build(config: Mapping[str, Any], trust: Sequence[str] = (), **given: Any) -> Any:
    """Instantiate a network, or a task, from a file's configuration.

    `_target_` may name any callable, and the file may come from anyone. Therefore only parts of this package, and of
    packages that the user trusts, are built.

    Args:
        config: the configuration.
        trust: names of the trusted packages.
        given: arguments beside the configured ones.

    Raises:
        UserError: the configuration names something else, or a trusted package cannot be imported.
    """
    check(config, trust)
    return instantiate(config, **given)


def check(config: Any, trust: Sequence[str] = (), optimisers: bool = False) -> None:
    """Raise UserError if a file's configuration names something that must not be built; see `build`.

    Of Hydra's own keys, `_args_` is walked through like everything else; `_partial_`, `_recursive_` and `_convert_`
    change when and in which form arguments are passed on, not what is called.

    Args:
        config: the configuration.
        trust: names of the trusted packages.
        optimisers: whether optimisers, schedules and the functions that configure them may be built, too.
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
    defined = str(getattr(found, "__module__", None) or "")  # the module that defines it, not one that imports it
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
    """Return the object `name` of the module; None if there is none, or if Hydra would find another object.

    (Hydra follows attributes: through `hmlpe.training.optim.torch` it would find torch and everything torch imports.)
    """
    try:
        there = import_module(module)
    except (ImportError, ValueError):
        return None
    found = getattr(there, name, None)
    return found if there.__name__ == module and found is not None and get_object(f"{module}.{name}") is found else None


def _ours(found: Any, defined: str, optimisers: bool) -> bool:
    """Return whether an object is one of this package's `PARTS`, or one for optimisers if those are allowed."""
    if isinstance(found, type) and issubclass(found, PARTS):
        return defined.startswith("hmlpe.")
    if optimisers and isinstance(found, type) and issubclass(found, OPTIMISERS):
        return defined.startswith("torch.optim.")
    return optimisers and isinstance(found, FunctionType) and defined in PLAIN


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a configuration node, without Hydra's own keys."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def walk_config(value: Any) -> Iterator[Any]:
    """Yield a configuration's value, and recursively all keys and values inside it."""
    yield value
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from walk_config(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from walk_config(one)

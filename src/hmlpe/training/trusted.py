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
def naming_file_in_errors(path: Path) -> Iterator[None]:
    """Replace any error inside the `with` block by a one-line UserError that names the file as its cause."""
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


def build_trusted(config: Mapping[str, Any], trust: Sequence[str] = (), **more_arguments: Any) -> Any:
    """Instantiate a network, or a task, from a file's configuration.

    `_target_` may name any callable, and the file may come from anyone. Therefore only the kinds of
    objects in `PARTS` (networks, tasks, etc.) of this package, and objects of packages that the user trusts, are built.

    Args:
        config: the configuration.
        trust: names of the packages that the user trusts.
        more_arguments: keyword arguments of the constructor, beside the configured ones.

    Raises:
        UserError: the configuration names something else, or a trusted package cannot be imported.
    """
    check_config(config, trust)
    return instantiate(config, **more_arguments)


def check_config(config: Any, trust: Sequence[str] = (), allow_optimisers: bool = False) -> None:
    """Raise UserError if a file's configuration names something that must not be built; see `build_trusted`.

    Of Hydra's own keys, `_args_` is walked through like everything else; `_partial_`, `_recursive_` and `_convert_`
    change when and in which form arguments are passed on, not what is called.

    Args:
        config: the configuration.
        trust: names of the packages that the user trusts.
        allow_optimisers: whether optimisers, schedules and the functions that configure them may be built, too.
    """
    trust = (trust,) if isinstance(trust, str) else trust
    for part in walk_config(config):
        if isinstance(part, str) and "${" in part:  # Hydra would resolve it, and a resolver can call anything
            raise UserError(f"its configuration holds {part[:80]!r}, which should have been resolved before writing")
        if not isinstance(part, Mapping | list | tuple | str | int | float | None):
            raise UserError(f"its configuration holds a {type(part).__name__}")
        if isinstance(part, Mapping) and "_target_" in part:
            _check_target(part["_target_"], trust, allow_optimisers)


def _check_target(target: object, trust: Sequence[str], allow_optimisers: bool) -> None:
    """Raise UserError if a `_target_` names something that must not be built; see `check_config`."""
    asked = f"its configuration asks for {target!r}"
    module, _, name = str(target).rpartition(".")
    package = module.partition(".")[0]
    trusted = package in trust
    if trusted:
        _check_import(module, package)
    elif package != "hmlpe" and not (allow_optimisers and f"{module}.".startswith("torch.optim.")):  # not even imported
        raise _untrusted_error(asked, package or str(target))
    resolved = _find_object(module, name) if isinstance(target, str) else None
    defining_module = str(
        getattr(resolved, "__module__", None) or ""
    )  # the module that defines it, not one that imports it
    owner = defining_module.partition(".")[0]
    if _is_allowed(resolved, defining_module, allow_optimisers) or (trusted and owner in trust):
        return
    if trusted and owner not in ("", "hmlpe"):
        raise _untrusted_error(asked, owner)
    raise UserError(f"{asked}, which is not part of a {package} network")


def _untrusted_error(message_start: str, package: str) -> UserError:
    return UserError(f"{message_start}, from another package, which would be run; if you trust it: trust=[{package}]")


def _check_import(module: str, package: str) -> None:
    """Import a module of a trusted package. Raises UserError if that fails."""
    try:
        import_module(module)
    except Exception as error:  # a package may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise UserError(f"trust: {package}: {module} cannot be imported ({said}); install the package") from error


def _find_object(module: str, name: str) -> Any:
    """Return the object `name` of the module; None if there is none, or if Hydra would find another object.

    (Hydra follows attributes: through `hmlpe.training.optim.torch` it would find torch and everything torch imports.)
    """
    try:
        there = import_module(module)
    except (ImportError, ValueError):
        return None
    found = getattr(there, name, None)
    return found if there.__name__ == module and found is not None and get_object(f"{module}.{name}") is found else None


def _is_allowed(resolved: Any, defining_module: str, allow_optimisers: bool) -> bool:
    """Return whether an object may be built: a class of this package that derives from one of `PARTS`.

    If `allow_optimisers`, so may torch's optimisers and schedules, and the functions of the modules `PLAIN`.

    Args:
        resolved: the class or function that a `_target_` names.
        defining_module: name of the module that defines it.
        allow_optimisers: see `check_config`.
    """
    if isinstance(resolved, type) and issubclass(resolved, PARTS):
        return defining_module.startswith("hmlpe.")
    if allow_optimisers and isinstance(resolved, type) and issubclass(resolved, OPTIMISERS):
        return defining_module.startswith("torch.optim.")
    return allow_optimisers and isinstance(resolved, FunctionType) and defining_module in PLAIN


def config_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor arguments in a configuration node: all its keys but Hydra's own, such as `_target_`."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def walk_config(value: Any) -> Iterator[Any]:
    """Yield a configuration node, then all keys and values inside it, at any depth."""
    yield value
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from walk_config(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from walk_config(one)

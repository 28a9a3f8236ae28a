"""Build what a file's configuration names, and nothing else that it could name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from hydra.utils import instantiate
from torch import nn

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import Task
from hmlpe.windows import WindowGrid

PARTS = (nn.Module, Task, Skeleton, WindowGrid)  # metrics and balances are modules
PLAIN = ("torch.optim.", "hmlpe.network.init.", "hmlpe.training.optim.")  # of optimisers, which only make numbers


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


def check(config: Any, trust: Sequence[str] = (), plain: tuple[str, ...] = ()) -> None:
    """Raise UserError if a file's configuration asks for something else; see `build`.

    Args:
        plain: how further targets may begin.
    """
    for node in _nodes(config):
        target = str(node["_target_"])
        package = target.partition(".")[0]
        if package in trust:
            _check_import(target, package)
        elif not (ours(node) or target.startswith(plain)):
            if package == "hmlpe":
                raise UserError(f"its configuration asks for {target!r}, which is no part of a network of hmlpe")
            raise UserError(
                f"its configuration asks for {target!r}, of another package, which would be run; if you trust that: "
                f"trust=[{package}]"
            )


def _check_import(target: str, package: str) -> None:
    module = target.rpartition(".")[0]
    try:
        import_module(module)
    except Exception as error:  # a package may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise UserError(f"trust: {package}: {module} does not import ({said}); install the package") from error


def ours(node: Mapping[str, Any]) -> bool:
    """Whether a node's `_target_` is a network's part, a task, a skeleton or a window grid of this package."""
    module, _, name = str(node.get("_target_")).rpartition(".")
    if not module.startswith("hmlpe."):
        return False
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, PARTS) and found.__module__.startswith("hmlpe.")


def arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a node, without Hydra's own words."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    """Everything in a configuration that names a `_target_`."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value
        for one in value.values():
            yield from _nodes(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _nodes(one)

"""Settings that their object's constructor does not know, found before it is called, so that they can be named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from pkgutil import resolve_name


def unknown_settings(name: str, node: object) -> Iterator[str]:
    """One line for each setting of a component, or of a component below it, that its constructor does not know.

    Args:
        name: of the component among the settings.
        node: `_target_` and the settings; what has none, or one that says nothing of its parameters, knows everything.
    """
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from unknown_settings(f"{name}.{place}", item)
    if not isinstance(node, Mapping):
        return
    known = parameters(node.get("_target_"))
    for key, value in node.items():
        if known is not None and key not in known and not of_hydra(key):
            yield f"{name}.{key}: there is no such setting; there are {', '.join(known)}"
        yield from unknown_settings(f"{name}.{key}", value)


def parameters(target: object) -> dict[str, Parameter] | None:
    """Those that the target can be given by name; None if it takes any, does not say, or is not there."""
    try:
        found = signature(resolve_name(str(target))).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return None
    kinds = {one.kind for one in found.values()}
    by_name = {name: one for name, one in found.items() if one.kind is not Parameter.POSITIONAL_ONLY}
    return None if kinds & {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL} else by_name


def of_hydra(key: object) -> bool:
    """Whether it is one of Hydra's own settings of a component, as `_target_` is."""
    return re.fullmatch("_.*_", str(key)) is not None

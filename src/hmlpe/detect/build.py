"""Build the configured detector; settings of a wrong type are named first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pkgutil import resolve_name
from types import UnionType
from typing import Any, Union, get_args, get_origin

from hmlpe.checked import MISSING, TYPE_NAMES
from hmlpe.detect.detector import Detector
from hmlpe.errors import UserError
from hmlpe.settings import make, missing_settings

TYPE_WORDS: dict[Any, str] = {**TYPE_NAMES, Mapping: TYPE_NAMES[dict], Sequence: TYPE_NAMES[list]}


def mistyped_settings(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield one error line for each setting whose type differs from the annotation in the constructor.

    Settings that the constructor does not have are not reported here; `settings.make` refuses them.

    Args:
        name: prefix of the settings' names in the lines.
        values: `_target_` and the settings of an object, nested objects included. An annotation with a type that is
            neither in `TYPE_WORDS` nor a class of hmlpe is not checked, but left to the constructor.
    """
    try:
        target: Any = resolve_name(values["_target_"])
    except (ImportError, AttributeError, ValueError, TypeError):
        yield f"{name}._target_: there is no {values['_target_']!r}"
        return
    try:
        known = signature(target, eval_str=True).parameters
    except (NameError, TypeError, ValueError):
        return
    for key, value in values.items():
        if key in known:
            yield from _mistyped_values(f"{name}.{key}", value, known[key].annotation)


def _mistyped_values(name: str, value: Any, hint: Any) -> Iterator[str]:
    """Yield one line for each value, at or below this one, that does not fit the type annotation."""
    if isinstance(value, dict) and "_target_" in value:
        yield from mistyped_settings(name, value)
        return
    union = isinstance(hint, UnionType) or get_origin(hint) is Union
    allowed = {get_origin(one) or one: one for one in (get_args(hint) if union else (hint,))}
    if not all(kind in TYPE_WORDS or getattr(kind, "__module__", "").startswith("hmlpe.") for kind in allowed):
        return
    for kind, one in allowed.items():
        inner = get_args(one) or (Any,)
        if kind is Mapping and isinstance(value, dict):
            for key, item in value.items():
                yield from _mistyped_values(f"{name}.{key}", item, inner[-1])
            return
        if kind is Sequence and isinstance(value, list):
            for place, item in enumerate(value):
                yield from _mistyped_values(f"{name}[{place}]", item, inner[0])
            return
        if _fits(value, kind):
            return
    words = [TYPE_WORDS.get(kind, f"a {kind.__name__}") for kind in allowed if not (kind is int and float in allowed)]
    yield f"{name}: must be {' or '.join(words)}, got {'null' if value is None else repr(value)[:60]}"


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # a bool is an int to Python
        return kind is bool
    return kind in TYPE_WORDS and kind is not Sequence and isinstance(value, (int, float) if kind is float else kind)


def build_detector(settings: Mapping[str, Any] | None, factors: Sequence[float | int] | None = None) -> Detector:
    """Build the configured detector.

    Args:
        settings: a file of conf/detector, with overrides; it is not modified.
        factors: (across, up, down), the box rule that the network was trained with (`geometry.scale_box`), for a
            detector whose setting `factors` is open; None: there is no network.

    Raises:
        UserError: no detector is configured, or a setting is missing or not valid; the message names the setting.
    """
    if not isinstance(settings, Mapping) or not settings.get("_target_"):
        raise UserError("detector: is not given; for example detector=cascade")
    values = dict(settings)
    if factors is not None and values.get("factors", factors) in (None, MISSING):
        values["factors"] = [float(factor) for factor in factors]
    for setting in missing_settings("detector", values):
        raise UserError(f"{setting}: is not given")
    for wrong in mistyped_settings("detector", values):
        raise UserError(wrong)
    detector = make("detector", values)
    if not isinstance(detector, Detector):
        raise UserError(f"detector._target_: {values['_target_']} makes no person detector")
    return detector

"""Build the configured person detector, after checking the types of its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pkgutil import resolve_name
from types import UnionType
from typing import Any, Union, get_args, get_origin

from hmlpe.checked import MISSING, TYPE_NAMES
from hmlpe.detect.detector import Detector
from hmlpe.errors import UserError
from hmlpe.settings import build_component, missing_settings

TYPE_WORDS: dict[Any, str] = {**TYPE_NAMES, Mapping: TYPE_NAMES[dict], Sequence: TYPE_NAMES[list]}


def mistyped_settings(prefix: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield one error line for each setting whose type differs from the annotation in the constructor.

    Settings that the constructor does not have are not reported here; `settings.build_component` refuses them.

    Args:
        prefix: prefix of the settings' names in the lines, e.g. "detector".
        settings: the settings of an object, with its class as `_target_`; nested objects are checked, too. A setting
            whose annotation has a type that is neither in `TYPE_WORDS` nor a class of hmlpe is not checked here.
    """
    try:
        target: Any = resolve_name(settings["_target_"])
    except (ImportError, AttributeError, ValueError, TypeError):
        yield f"{prefix}._target_: there is no {settings['_target_']!r}"
        return
    try:
        known = signature(target, eval_str=True).parameters
    except (NameError, TypeError, ValueError):
        return
    for key, value in settings.items():
        if key in known:
            yield from _mistyped_values(f"{prefix}.{key}", value, known[key].annotation)


def _mistyped_values(setting: str, value: Any, hint: Any) -> Iterator[str]:
    """Yield one error line for the value, or for each value nested in it, that does not fit the annotation `hint`."""
    if isinstance(value, dict) and "_target_" in value:
        yield from mistyped_settings(setting, value)
        return
    union = isinstance(hint, UnionType) or get_origin(hint) is Union
    allowed = {get_origin(one) or one: one for one in (get_args(hint) if union else (hint,))}
    if not all(kind in TYPE_WORDS or getattr(kind, "__module__", "").startswith("hmlpe.") for kind in allowed):
        return
    for kind, one in allowed.items():
        inner = get_args(one) or (Any,)
        if kind is Mapping and isinstance(value, dict):
            for key, item in value.items():
                yield from _mistyped_values(f"{setting}.{key}", item, inner[-1])
            return
        if kind is Sequence and isinstance(value, list):
            for place, item in enumerate(value):
                yield from _mistyped_values(f"{setting}[{place}]", item, inner[0])
            return
        if _has_type(value, kind):
            return
    words = [TYPE_WORDS.get(kind, f"a {kind.__name__}") for kind in allowed if not (kind is int and float in allowed)]
    yield f"{setting}: must be {' or '.join(words)}, got {'null' if value is None else repr(value)[:60]}"


def _has_type(value: Any, kind: type) -> bool:
    """Return whether the value is of this type; an int is a float, too, but a bool is no int."""
    if isinstance(value, bool):  # a bool is an int to Python
        return kind is bool
    return kind in TYPE_WORDS and kind is not Sequence and isinstance(value, (int, float) if kind is float else kind)


def build_detector(settings: Mapping[str, Any] | None, factors: Sequence[float | int] | None = None) -> Detector:
    """Return the person detector that the configuration describes.

    Args:
        settings: the group `detector` of the configuration (conf/detector), with overrides; it is not modified.
        factors: (across, up, down) by which the network's boxes were scaled in training (`geometry.scale_box`); used
            if the detector's own setting `factors` is missing or null. None: there is no network.

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
    detector = build_component("detector", values)
    if not isinstance(detector, Detector):
        raise UserError(f"detector._target_: {values['_target_']} makes no person detector")
    return detector

"""Turn pydantic's validation errors into one-line messages in this project's wording, for files and settings alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

TYPE_NAMES: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    NoneType: "null",
}
MAX_SHOWN_LENGTH = 120  # characters of a value in a message
MISSING = "???"  # Hydra's value of a setting that has no default and must be given


class Problem(NamedTuple):
    """The first validation error of a file or of settings.

    Attributes:
        where: path to the offending field, its names joined by dots.
        kind: pydantic's error type, or "type" where the value is not what it must be.
        value: the value that was given.
        expected: description of what the value must be.
    """

    where: str
    kind: str
    value: Any
    expected: str

    def message_for_file(self) -> str:
        """Return the message for a file: `field <path> is <value>, not <what>`."""
        if self.kind == "missing":
            return f"field {self.where} is missing"
        if self.kind == "extra_forbidden":
            return f"field {self.where} is unknown; there are {self.expected}"
        if self.kind == "value_error":
            return self.expected
        return f"field {self.where} is {short_repr(self.value)}, not {self.expected}"

    def message_for_settings(self) -> str:
        """Return the message for settings: `<setting>: must be <what>, got <value>`."""
        if self.kind == "missing" or self.value == MISSING:
            return f"{self.where}: is not given; it must be {self.expected}"
        if self.kind == "extra_forbidden":
            return f"{self.where}: there is no such setting; there are {self.expected}"
        number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        quote = "; quote it if it is a number" if number and "a text" in self.expected else ""
        return f"{self.where}: must be {self.expected}, got {short_repr(self.value)}{quote}"


def first_problem(error: ValidationError, model: type[BaseModel], given: Any, name: str = "") -> Problem:
    """Convert the first of the errors that pydantic lists into a `Problem`.

    Args:
        error: the exception that pydantic raised.
        model: the model class that refused the input.
        given: the refused input, in plain containers.
        name: name of the model among the settings, if it is a part of them.
    """
    one = error.errors(include_url=False)[0]
    hint: Any = model
    metadata: Sequence[Any] = ()
    value, names = given, [name] if name else []
    for part in one["loc"]:
        inner = _type_at(hint, part)
        if inner is None or _description(metadata):
            break  # pydantic's name of a union's branch, or a part of a field that one description covers
        (hint, metadata), value = inner, _value_at(value, part)
        names.append(str(part))
    else:
        if one["type"] in ("missing", "value_error"):
            expected = str(one["ctx"]["error"]) if one["type"] == "value_error" else describe_type(hint, metadata)
            return Problem(".".join(names), one["type"], value, expected)
    if one["type"] == "extra_forbidden":
        return Problem(".".join([*names, str(one["loc"][-1])]), one["type"], one["input"], ", ".join(_fields(hint)))
    return Problem(".".join(names), "type", value, describe_type(hint, metadata))


def short_repr(value: Any) -> str:
    """Return the value's repr for a message, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}..."


def describe_type(hint: Any, metadata: Sequence[Any] = ()) -> str:
    """Describe what a value of this type must be: the field's description if it has one, else the type and its bounds.

    Args:
        hint: a type annotation.
        metadata: the metadata of the annotation: pydantic's field info and the bounds of `Annotated`.

    >>> describe_type(int | None)
    'a whole number, or null'
    """
    if get_origin(hint) is Annotated:
        hint, *own = get_args(hint)
        return describe_type(hint, [*own, *metadata])
    if (said := _description(metadata)) is not None:
        return said
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return ", or ".join(describe_type(one) for one in parts if not (one is int and float in parts))
    if kind is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(map(str, parts))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"settings ({', '.join(_fields(kind))})"
    return TYPE_NAMES.get(kind, str(kind)) + _describe_bounds(metadata)


def _description(metadata: Sequence[Any]) -> str | None:
    """Return the first field description in the metadata, or None."""
    return next((mark.description for mark in metadata if isinstance(mark, FieldInfo) and mark.description), None)


def _describe_bounds(metadata: Sequence[Any]) -> str:
    """Describe the bounds: ` from 1 to 3`, ` of at least 1`, ` between 0 and 1` (both excluded) or ` above 0`."""
    single = [one for mark in metadata for one in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
    of = {type(one): getattr(one, type(one).__name__.lower()) for one in single if isinstance(one, Ge | Gt | Le | Lt)}
    if Gt in of:
        return f" between {of[Gt]} and {of[Lt]}" if Lt in of else f" above {of[Gt]}"
    if Ge in of:
        return f" from {of[Ge]} to {of[Le]}" if Le in of else f" of at least {of[Ge]}"
    return ""


def _type_at(hint: Any, part: str | int) -> tuple[Any, Sequence[Any]] | None:
    """Return the annotation and metadata of a type's field (by name) or item (by index); None if there is none."""
    if get_origin(hint) is Annotated:
        return _type_at(get_args(hint)[0], part)
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return next((found for one in parts if (found := _type_at(one, part)) is not None), None)
    if kind is dict and len(parts) == 2:
        return parts[1], ()
    if kind is list and isinstance(part, int):
        return parts[0], ()
    field = _fields(kind).get(str(part))
    return None if field is None else (field.annotation, [field])


def _fields(hint: Any) -> dict[str, FieldInfo]:
    """Return the fields of a model, or of the first model in a union, by the names used in files; empty for others."""
    if get_origin(hint) in (Annotated, Union, UnionType):
        return next((found for one in get_args(hint) if (found := _fields(one))), {})
    if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in hint.model_fields.items()}


def _value_at(value: Any, part: str | int) -> Any:
    """Return the item of a mapping (by key) or of a list (by index); None if there is none."""
    if isinstance(value, Mapping):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) else None

"""Attributes of people in users' own files: which field or column carries each, and what stands there as a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hmlpe.csv_file import NUMBER, UNKNOWN_TEXTS
from hmlpe.data.record import Attribute
from hmlpe.errors import UserError
from hmlpe.spelling import to_nfc


@dataclass(frozen=True)
class Carried:
    """An attribute, and the field of a record or the column of a table that carries it."""

    attribute: Attribute
    field: str

    def number(self, text: str, where: str) -> float:
        """What the text says: the index of its class, or its number; NaN where it is unknown, empty or NaN.

        Args:
            where: the record and its field, for messages.

        Raises:
            UserError: it is none of the classes, or no finite number.
        """
        if text.lower() in UNKNOWN_TEXTS:
            return float("nan")
        classes, must = self.attribute.classes, "a finite number"
        if classes:
            if text in classes:
                return float(classes.index(text))
            must = f"one of {', '.join(classes)} (data.source.attributes.{self.attribute.name}.classes)"
        elif NUMBER.fullmatch(text) and self.attribute.holds(float(text)):
            return float(text)
        raise UserError(f"{where}: must be {must}, or empty if unknown, got {text[:60]!r}")


def carried(attributes: object) -> tuple[Carried, ...]:
    """`data.source.attributes`, checked: name -> {field, classes}, where no classes make it a number; None: nothing.

    Raises:
        UserError: names the key whose value is of no use.
    """
    if attributes is not None and not isinstance(attributes, Mapping):
        raise UserError(f"data.source.attributes: must be null or {{name: {{field: ...}}}}, got {attributes!r}")
    return tuple(_carried(str(name), said) for name, said in (attributes or {}).items())


def word(value: str | int | float | None) -> str:
    """A value of JSON or YAML as a table has it: empty for null and NaN, true and false small, 1 for 1.0."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return to_nfc(str(int(value) if isinstance(value, float) and value.is_integer() else value)).strip()


def _carried(name: str, said: object) -> Carried:
    measure, key = Attribute(name), f"data.source.attributes.{name}"
    if not isinstance(said, Mapping) or "field" not in said or not set(said) <= {"field", "classes"}:
        raise UserError(f"{key}: must be {{field: ...}} or {{field: ..., classes: [...]}}, got {said!r}")
    field, classes = said["field"], said.get("classes")
    if isinstance(field, bool) or not isinstance(field, str | int) or not str(field).strip():
        raise UserError(f"{key}.field: must be the name of a field or column, got {field!r}")
    if classes is None:
        return Carried(measure, str(field))
    if isinstance(classes, str) or not isinstance(classes, Sequence) or not classes:
        raise UserError(f"{key}.classes: must be a list of words, or null for a number, got {classes!r}")
    if not all(isinstance(one, str | int | float) for one in classes):
        raise UserError(f"{key}.classes: must be a list of words, got {list(classes)}")
    return Carried(Attribute(name, tuple(map(word, classes))), str(field))

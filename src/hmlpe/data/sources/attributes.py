"""Attributes of people in users' own files: the field or column that holds each, and the parsing of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hmlpe.csv_file import NUMBER, UNKNOWN_TEXTS
from hmlpe.data.record import Attribute
from hmlpe.errors import UserError
from hmlpe.spelling import to_nfc


@dataclass(frozen=True)
class AttributeField:
    """An attribute, and the name of the field (in COCO files) or column (in tables) that holds its values."""

    attribute: Attribute
    field: str

    def parse_value(self, text: str, where: str) -> float:
        """Convert a text to the index of its class, or to a number if there are no classes; "" and "NaN" become NaN.

        Args:
            text: the content of the field.
            where: the record and its field, for messages.

        Raises:
            UserError: the text is not one of the classes, or not a finite number.
        """
        if text.lower() in UNKNOWN_TEXTS:
            return float("nan")
        classes, must = self.attribute.classes, "a finite number"
        if classes:
            if text in classes:
                return float(classes.index(text))
            must = f"one of {', '.join(classes)} (data.source.attributes.{self.attribute.name}.classes)"
        elif NUMBER.fullmatch(text) and self.attribute.allows(float(text)):
            return float(text)
        raise UserError(f"{where}: must be {must}, or empty if unknown, got {text[:60]!r}")


def parse_attributes(attributes: object) -> tuple[AttributeField, ...]:
    """Check the setting `data.source.attributes`, and return the attributes and fields that it describes.

    Args:
        attributes: name -> {field, classes}; without classes the attribute is a number. None: no attributes.

    Raises:
        UserError: a value is invalid; names its key.
    """
    if attributes is not None and not isinstance(attributes, Mapping):
        raise UserError(f"data.source.attributes: must be null or {{name: {{field: ...}}}}, got {attributes!r}")
    return tuple(_parse_attribute(str(name), said) for name, said in (attributes or {}).items())


def as_text(value: str | int | float | None) -> str:
    """Convert a value of JSON or YAML to the text that a CSV table would hold; null and NaN become "".

    >>> as_text(None), as_text(float("nan")), as_text(True), as_text(1.0)
    ('', '', 'true', '1')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return to_nfc(str(int(value) if isinstance(value, float) and value.is_integer() else value)).strip()


def _parse_attribute(name: str, config: object) -> AttributeField:
    """Convert the settings {field, classes} of one attribute. Raises UserError if they are not valid."""
    measure, key = Attribute(name), f"data.source.attributes.{name}"
    if not isinstance(config, Mapping) or "field" not in config or not set(config) <= {"field", "classes"}:
        raise UserError(f"{key}: must be {{field: ...}} or {{field: ..., classes: [...]}}, got {config!r}")
    field, classes = config["field"], config.get("classes")
    if isinstance(field, bool) or not isinstance(field, str | int) or not str(field).strip():
        raise UserError(f"{key}.field: must be the name of a field or column, got {field!r}")
    if classes is None:
        return AttributeField(measure, str(field))
    if isinstance(classes, str) or not isinstance(classes, Sequence) or not classes:
        raise UserError(f"{key}.classes: must be a list of words, or null for a number, got {classes!r}")
    if not all(isinstance(one, str | int | float) for one in classes):
        raise UserError(f"{key}.classes: must be a list of words, got {list(classes)}")
    return AttributeField(Attribute(name, tuple(map(as_text, classes))), str(field))

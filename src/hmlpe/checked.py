"""What pydantic finds wrong, as one line in this project's words: for files and for settings alike."""

from __future__ import annotations

from pydantic import ValidationError

_KINDS = {
    "string_type": "is not a text",
    "int_type": "is not an integer",
    "int_from_float": "is not an integer",
    "float_type": "is not a number",
    "bool_type": "is not true or false",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "model_attributes_type": "is not an object",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "missing": "is missing",
    "extra_forbidden": "is not known",
}


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong: `field <path> <what>`, or the words of a validator of ours."""
    one = error.errors(include_url=False)[0]
    if one["type"] == "value_error":
        return str(one["ctx"]["error"])
    where = ".".join(str(part) for part in one["loc"])
    if one["type"] == "literal_error":
        return f"field {where} is {one['input']!r}, not one of {one['ctx']['expected'].replace(' or ', ', ')}"
    return f"field {where} {_KINDS.get(one['type'], one['msg'].lower())}"

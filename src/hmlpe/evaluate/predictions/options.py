"""Settings of a form, which may hold anything until they are checked."""

from __future__ import annotations

from hmlpe.errors import UserError


def flag(value: object, key: str) -> bool:
    """A setting that is true or false. Raises UserError if it is anything else."""
    if not isinstance(value, bool):
        raise UserError(f"predictions_form.{key}: must be true or false, got {value!r}")
    return value


def origin_of(value: object) -> int:
    """The coordinate of the first pixel's centre in the file. Raises UserError if it is neither 0 nor 1."""
    if isinstance(value, bool) or value not in (0, 1):
        raise UserError(f"predictions_form.origin: must be 0, or 1 for pixels counted from 1, got {value!r}")
    return int(str(value))


def name_of(value: object, key: str) -> str | None:
    """A setting that is a name, or null. Raises UserError if it is anything else."""
    if value is not None and not (isinstance(value, str) and value):
        raise UserError(f"predictions_form.{key}: must be a name, or null, got {value!r}")
    return value


def allow(form: str, key: str) -> str:
    """How a form is told to go on: words for the command line."""
    return f"predictions_form={form} predictions_form.{key}=true"

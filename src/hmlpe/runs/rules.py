"""The rules by which a checkpoint is chosen, both of which are evaluated: best on validation, and last."""

from __future__ import annotations

BASE = "regression"  # the task whose rows are compared with, where a study has it
RULES = ("best", "last")  # as `select` names them, and people/<rule>.npz


def in_words(rule: str, base: str = BASE) -> str:
    """The rule for a reader.

    Args:
        base: the task whose validation error chooses.
    """
    if rule == "last":
        return "last epoch"
    return f"lowest val/{base}_error (without {base}: the error of the first trained task)"


def other_than(rule: str) -> str:
    """The other of the two."""
    return RULES[1 - RULES.index(rule)]

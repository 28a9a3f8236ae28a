"""The two rules by which a checkpoint is chosen, by both of which a run is evaluated: best on validation, and last."""

from __future__ import annotations

BASE = "regression"  # the task whose rows the others are compared with, where a study has it
RULES = ("best", "last")  # names of the checkpoint rules, in the setting `select` and in people/<rule>.npz


def rule_text(rule: str, base: str = BASE) -> str:
    """Return a description of a checkpoint rule for the reader of a report.

    Args:
        rule: "best" or "last".
        base: the task whose validation error chooses the best checkpoint.
    """
    if rule == "last":
        return "last epoch"
    return f"lowest val/{base}_error (without {base}: the error of the first trained task)"


def other_rule_than(rule: str) -> str:
    """Return the other of the two checkpoint rules."""
    return RULES[1 - RULES.index(rule)]

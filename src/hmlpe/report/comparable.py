"""Check that runs may share a table: same data, code, protocol and budget, and one configuration per row."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from hmlpe.errors import UserError
from hmlpe.report.runs import group_by_row, sorted_runs
from hmlpe.runs.result import Run

# What must be equal for all finished runs of a study; "settings" is the config without row and seed.
_EVERYWHERE: dict[str, Callable[[Run], object]] = {
    "data digest": lambda run: run.provenance["data"],
    "code digest": lambda run: run.provenance["code"],
    "protocol": lambda run: run.result.protocol,
    "checkpoint rule": lambda run: run.rule,
    "people counts": lambda run: tuple(sorted(run.people.items())),
    "recipe": lambda run: run.result.recipe,
    "network": lambda run: run.result.network,
    "set of varied settings": lambda run: ", ".join(run.result.varies or ["weights alone"]),
    "epochs": lambda run: None if "epochs" in run.result.varies else run.result.epochs,
    "settings digest": lambda run: run.provenance["settings"],
}
# What must be equal for all seeds of one row; the config's digest is taken without the seed.
_WITHIN_A_ROW: dict[str, Callable[[Run], object]] = {
    "weights": lambda run: tuple(sorted(run.weights.items())),
    "epochs": lambda run: run.result.epochs,
    "config digest": lambda run: run.provenance["config"],
}


def check_comparable(runs: Sequence[Run]) -> None:
    """Raise UserError if no run is finished, or two cannot be compared (the error names them and what differs)."""
    groups = [(row, [run for run in group if run.finished]) for row, group in group_by_row(runs)]
    finished = [run for _, group in groups for run in group]
    if not finished:
        states = ", ".join(f"{run.name} ({describe_unfinished(run)})" for run in sorted_runs(runs))
        raise UserError(f"{len(runs)} runs, none finished: {states}; rerun the sweep")
    for field, value in _EVERYWHERE.items():
        _check_equal(finished, field, value)
    _check_user_code(finished)
    _check_mean_pose(finished)
    for row, group in groups:
        for field, value in _WITHIN_A_ROW.items():
            _check_equal(group, f"{field} of row {row}", value)


def describe_unfinished(run: Run) -> str:
    """Return the state of an unfinished run: `running`, or `failed: <its error>`."""
    return f"{run.status}: {run.result.error}" if run.result.error else run.status


def _check_equal(runs: Sequence[Run], field: str, value_of: Callable[[Run], object]) -> None:
    """Raise UserError, naming `field`, unless all runs give the same `value_of(run)`."""
    counts = Counter(value_of(run) for run in runs)
    if len(counts) > 1:
        # The majority is assumed to be right, so that the run named last is the one to repeat.
        usual = next(run for run in runs if counts[value_of(run)] == max(counts.values()))
        _raise_not_comparable(usual, next(run for run in runs if value_of(run) != value_of(usual)), field, value_of)


def _check_user_code(runs: Sequence[Run]) -> None:
    """Raise UserError unless each of the user's own packages is the same in all rows that use it."""
    for package in sorted({package for run in runs for package in _user_code_digests(run)}):
        having = [run for run in runs if package in _user_code_digests(run)]
        _check_equal(having, f"code digest of {package}", partial(_digest_of, package))


def _user_code_digests(run: Run) -> Mapping[str, str]:
    """Return the digests of the code of the user's own packages that the run was made with, by package."""
    return run.provenance.get("own_code") or {}


def _digest_of(package: str, run: Run) -> str:
    """Return the digest of the code of one of the user's own packages that the run was made with."""
    return _user_code_digests(run)[package]


def _check_mean_pose(runs: Sequence[Run]) -> None:
    """Raise UserError unless all runs scored the mean pose the same, up to rounding."""
    for key in sorted({key for run in runs for key in run.mean_pose}):
        having = [run for run in runs if run.mean_pose.get(key) is not None]
        value = partial(_mean_pose_value, key)
        for run in having[1:]:
            # Each run scores the mean pose anew, and another machine may round the last digit differently.
            if not math.isclose(value(run), value(having[0]), rel_tol=1e-6, abs_tol=1e-9):
                _raise_not_comparable(having[0], run, f"mean pose's {key}", value)


def _mean_pose_value(key: str, run: Run) -> float:
    """Return the mean pose's value of a metric in the run."""
    return run.mean_pose[key] or 0.0


def _raise_not_comparable(usual: Run, other: Run, field: str, value_of: Callable[[Run], object]) -> None:
    """Raise the UserError that names two runs, the field in which they differ, and each run's value of it."""
    one, two = (_shorten(value_of(run)) for run in (usual, other))
    folder = other.file.parent
    raise UserError(
        f"runs {usual.name} and {other.name} cannot be compared: {field} differs ({one} and {two}); "
        f"rerun {other.name} or move its folder {folder} out of the study"
    )


def _shorten(value: object) -> str:
    """Return a value as text of at most about 60 characters."""
    if isinstance(value, tuple):
        return " ".join(f"{name}={number:g}" if number is not None else f"{name}=–" for name, number in value)
    text = str(value)
    return text if len(text) <= 60 else text[:60] + "…"

"""A run's folder as training uses it: the names of files, the run's state, and whether there is work left to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hmlpe.errors import UserError
from hmlpe.files import read_json, remove_leftovers, write_json_atomic, write_text_atomic
from hmlpe.runs.result import SCHEMA, Result

RESUME, RESUME_BEFORE = "resume.ckpt", "resume_before.ckpt"  # training state after the last epoch, and the one before
CHOSEN, OTHER_BEST = "model.ckpt", "best.ckpt"  # the evaluated checkpoint; during training the best, if not chosen
PEOPLE = "people"  # the folder of predictions and errors of each person
RESULT, CONFIG = "result.json", "config.yaml"
FileVersion = tuple[int, int]
"""The version of a file, as (inode, modification time): each write makes a new file and renames it."""


def read_record(folder: Path) -> dict[str, Any]:
    """Return the content of the run's result.json, of whatever version and status; empty if there is none.

    Raises:
        UserError: the file is broken.
    """
    path = folder / RESULT
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


@dataclass(frozen=True)
class State:
    """The state of a run's folder.

    Attributes:
        kind: "missing", "unfinished" (interrupted, or still running), "finished", or "stale": worth keeping, but made
            with other code, data, start or configuration.
        result: content of result.json, if there is one.
        changed: what differs in a stale result: keys of the identity.
    """

    kind: Literal["missing", "unfinished", "finished", "stale"]
    result: dict[str, Any] | None = None
    changed: tuple[str, ...] = ()

    def describe(self) -> str:
        """Describe the state in words, for the list of what a sweep would do."""
        if self.kind == "stale":
            return f"stale (of another {' and '.join(self.changed)})"
        failed = self.result and self.result.get("error")
        return f"{self.kind} ({failed})" if failed else self.kind


def state_of(folder: Path, identity: Mapping[str, str]) -> State:
    """Return the state of `folder` for a run of this `identity`: digests of code, data, start and config, and the seed.

    Raises:
        UserError: result.json is broken.
    """
    path = folder / RESULT
    if not path.is_file():
        return State("missing")
    result: dict[str, Any] = read_json(path)
    finished = result.get("status") == "finished"
    changed = tuple(key for key, value in identity.items() if result.get("identity", {}).get(key) != value)
    if not changed:
        return State("finished" if finished else "unfinished", result)
    worth_keeping = finished or any((folder / "checkpoints" / name).exists() for name in (RESUME, RESUME_BEFORE))
    return State("stale" if worth_keeping else "missing", result, changed)


def finished_result(folder: Path, identity: Mapping[str, str], overwrite: bool) -> dict[str, Any] | None:
    """Return the result in `folder` if it is finished; otherwise delete what the run must not use, and return None.

    The caller holds the folder's lock.

    Args:
        identity: see `state_of`.
        overwrite: delete a stale result.

    Raises:
        UserError: the result is stale and must not be overwritten.
    """
    for place in (folder, folder / "checkpoints", folder / PEOPLE, *(folder / "csv").glob("version_*")):
        remove_leftovers(place)
    state = state_of(folder, identity)
    if state.kind == "finished":
        remove_training_checkpoints(folder)  # they are still there if the run was killed after writing its result
        return state.result
    if state.kind == "stale" and not overwrite:
        raise UserError(
            stale_message(folder, state) + "; move the folder away, choose another paths.outputs, or let it be "
            "replaced: overwrite=true, in a sweep sweep.redo=stale"
        )
    if state.kind == "missing":  # without a record it is unknown which run these checkpoints belong to
        (folder / "checkpoints" / RESUME).unlink(missing_ok=True)
        (folder / "checkpoints" / RESUME_BEFORE).unlink(missing_ok=True)
    if state.changed:
        for made in (*(folder / "checkpoints").glob("*.ckpt"), *(folder / PEOPLE).glob("*.npz")):
            made.unlink()
        (folder / RESULT).unlink()
    return None


def checkpoint_of(folder: Path) -> Path:
    """Return the path of the checkpoint that is evaluated."""
    return folder / "checkpoints" / CHOSEN


def remove_training_checkpoints(folder: Path) -> None:
    """Delete the checkpoints that a finished run no longer needs."""
    for spent in (RESUME, RESUME_BEFORE, OTHER_BEST):
        (folder / "checkpoints" / spent).unlink(missing_ok=True)


def stale_message(folder: Path, state: State) -> str:
    """Return a message that says how a stale result differs."""
    return f"{folder / 'result.json'}: is of another {' and '.join(state.changed)}"


def objective_of(result: Mapping[str, Any], name: str) -> float | None:
    """Return the metric `<split>/<metric>` of a finished run; None if it has no value, e.g. as its task is not trained.

    Raises:
        UserError: no run has a metric of that name.
    """
    split, _, metric = name.partition("/")
    there = result.get("metrics", {}).get(split, {})
    value = there.get(metric)
    if metric not in there and not metric.endswith("_error"):
        raise UserError(f"objective: no metric {name!r}; there are {', '.join(f'{split}/{key}' for key in there)}")
    return None if value is None else float(value)


def incomplete_mirrors(folders: Iterable[Path], since: str = "") -> list[str]:
    """Name the finished runs in these folders whose metrics are not all in W&B, each with the reason.

    Args:
        since: only runs that finished at this time or later.
    """
    found = []
    for folder in folders:
        with suppress(UserError):  # without a record the run is not finished
            result = read_json(folder / RESULT)
            if result.get("mirror_lost") and result["finished"] >= since:
                found.append(f"{result['row']} · seed {result['seed']} ({result['mirror_lost']})")
    return found


def first_start(folder: Path) -> str | None:
    """Return when the run of `folder` was first started, or None if it has not been."""
    path = folder / RESULT
    return read_json(path).get("started") if path.is_file() else None


def write_result(folder: Path, status: str, fields: dict[str, Any], write: bool = True) -> dict[str, Any]:
    """Write `result.json` with the run's status (running, failed or finished), and return its content.

    Args:
        fields: fields of `Result`, apart from schema and status.
        write: False in those processes of a run whose first process writes the file.
    """
    unknown = fields.keys() - Result.model_fields.keys()
    assert not unknown, f"Result has no {unknown}"
    result = {"schema": SCHEMA, "status": status, **fields}
    Result.of(result)
    if write:
        write_json_atomic(folder / RESULT, result)
    return result


def file_version(path: Path) -> FileVersion | None:
    """Return the version of a file, or None without a file. Two versions differ even with equal content."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def mark_failed(
    folder: Path, error: str, replaceable: Collection[str] = ("running",), version_before: FileVersion | None = None
) -> None:
    """Record in result.json the error that ended a run which could not record it itself.

    Args:
        replaceable: statuses that may be replaced: "running", or also "failed" where that failure followed from this
            error.
        version_before: version of the file when the run began; a file not written since belongs to another run.

    Raises:
        UserError: the file cannot be read.
        OSError: the file cannot be written.
    """
    path = folder / RESULT
    if file_version(path) in (None, version_before):
        return
    result: dict[str, Any] = read_json(path)
    if result.get("status") in replaceable:
        write_json_atomic(path, result | {"status": "failed", "error": error})


def write_config(folder: Path, tree: Mapping[str, Any]) -> None:
    """Write the configuration that the run is made with."""
    import yaml  # imported here as few callers need it

    write_text_atomic(folder / CONFIG, yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True))


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration of a run. Raises UserError if it is missing or broken."""
    import yaml

    path = folder / CONFIG
    try:
        # The C loader, where PyYAML has it, is ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = yaml.load(path.read_text(encoding="utf-8"), loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise not_a_run_error(path, error) from error
    if not isinstance(found, dict):
        raise not_a_run_error(path, "no mapping")
    return found


def not_a_run_error(path: Path, why: object) -> UserError:
    """Return the error that a file is not the configuration of a training run."""
    return UserError(f"{path}: not the configuration of a run ({' '.join(str(why).split())})")

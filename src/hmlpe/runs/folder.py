"""A run's folder as training uses it: the names in it, its state, and whether a new call has anything to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hmlpe.errors import UserError
from hmlpe.files import read_json, remove_leftovers, write_json_atomic, write_text_atomic
from hmlpe.runs.result import SCHEMA, Result

RESUME, BEFORE = "resume.ckpt", "resume_before.ckpt"  # the whole state after the last epoch, and after the one before
CHOSEN, OTHER_BEST = "model.ckpt", "best.ckpt"  # what is evaluated, and while a run trains its best, if not chosen
PEOPLE = "people"  # the folder of what was found of each person
RESULT, CONFIG = "result.json", "config.yaml"


def read_record(folder: Path) -> dict[str, Any]:
    """The run's result as it lies there, of whatever version and however far; empty if there is none.

    Raises:
        UserError: it is broken.
    """
    path = folder / RESULT
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


@dataclass(frozen=True)
class State:
    """What a run's folder holds.

    Attributes:
        kind: "missing", "unfinished" (broken off, or still at work), "finished", or "stale": worth keeping, but of
            other code, data, start or configuration.
        result: as on disk, if there is one.
        changed: what a stale one is of another of.
    """

    kind: Literal["missing", "unfinished", "finished", "stale"]
    result: dict[str, Any] | None = None
    changed: tuple[str, ...] = ()

    def describe(self) -> str:
        """In words, for a list of what a sweep would do."""
        if self.kind == "stale":
            return f"stale (of another {' and '.join(self.changed)})"
        failed = self.result and self.result.get("error")
        return f"{self.kind} ({failed})" if failed else self.kind


def state_of(folder: Path, identity: Mapping[str, str]) -> State:
    """The state of `folder` for a run of this `identity`: digests of code, data, start and config, and the seed.

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
    worth_keeping = finished or any((folder / "checkpoints" / name).exists() for name in (RESUME, BEFORE))
    return State("stale" if worth_keeping else "missing", result, changed)


def finished_result(folder: Path, identity: Mapping[str, str], overwrite: bool) -> dict[str, Any] | None:
    """The result in `folder`, whose lock is held, if it is finished; None if there is work to do.

    Args:
        identity: see `state_of`.
        overwrite: forget a result of anything else.

    Raises:
        UserError: the folder belongs to something else, and must not be overwritten.
    """
    for place in (folder, folder / "checkpoints", folder / PEOPLE, *(folder / "csv").glob("version_*")):
        remove_leftovers(place)
    state = state_of(folder, identity)
    if state.kind == "finished":
        remove_spent(folder)  # what a kill after its last write has left
        return state.result
    if state.kind == "stale" and not overwrite:
        raise UserError(
            stale(folder, state) + "; move the folder away, choose another paths.outputs, or let it be "
            "replaced: overwrite=true, in a sweep sweep.redo=stale"
        )
    if state.kind == "missing":  # nobody knows what a state without its record is of
        (folder / "checkpoints" / RESUME).unlink(missing_ok=True)
        (folder / "checkpoints" / BEFORE).unlink(missing_ok=True)
    if state.changed:
        for made in (*(folder / "checkpoints").glob("*.ckpt"), *(folder / PEOPLE).glob("*.npz")):
            made.unlink()
        (folder / RESULT).unlink()
    return None


def checkpoint_of(folder: Path) -> Path:
    """The weights of a run that are evaluated."""
    return folder / "checkpoints" / CHOSEN


def remove_spent(folder: Path) -> None:
    """Delete what a finished run does not need any more."""
    for spent in (RESUME, BEFORE, OTHER_BEST):
        (folder / "checkpoints" / spent).unlink(missing_ok=True)


def stale(folder: Path, state: State) -> str:
    """What is wrong with a stale result, in words."""
    return f"{folder / 'result.json'}: is of another {' and '.join(state.changed)}"


def objective_of(result: Mapping[str, Any], name: str) -> float | None:
    """The metric `<split>/<metric>` of a finished run; None if it has no value: of a task that is not trained, say.

    Raises:
        UserError: no run has a metric of that name.
    """
    split, _, metric = name.partition("/")
    there = result.get("metrics", {}).get(split, {})
    value = there.get(metric)
    if metric not in there and not metric.endswith("_error"):
        raise UserError(f"objective: no metric {name!r}; there are {', '.join(f'{split}/{key}' for key in there)}")
    return None if value is None else float(value)


def mirrors_lost(folders: Iterable[Path], since: str = "") -> list[str]:
    """The finished runs of these folders of which W&B does not hold all, each with the reason; in words.

    Args:
        since: those that finished then, or later.
    """
    found = []
    for folder in folders:
        with suppress(UserError):  # no record: nothing finished
            result = read_json(folder / RESULT)
            if result.get("mirror_lost") and result["finished"] >= since:
                found.append(f"{result['row']} · seed {result['seed']} ({result['mirror_lost']})")
    return found


def first_start(folder: Path) -> str | None:
    """When the run of `folder` was first started, if it was."""
    path = folder / RESULT
    return read_json(path).get("started") if path.is_file() else None


def write_result(folder: Path, status: str, fields: dict[str, Any], write: bool = True) -> dict[str, Any]:
    """Write `result.json` with its state: running, failed or finished. Returns what it holds.

    Args:
        write: False in a process of a run whose first process writes it.
    """
    unknown = fields.keys() - Result.model_fields.keys()
    assert not unknown, f"Result has no {unknown}"
    result = {"schema": SCHEMA, "status": status, **fields}
    Result.of(result)
    if write:
        write_json_atomic(folder / RESULT, result)
    return result


Written = tuple[int, int]
"""Which writing of a file it is: files here are written anew and renamed."""


def written(path: Path) -> Written | None:
    """The present writing of a file; None if there is none. Two with the same content differ."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def mark_failed(folder: Path, error: str, over: Collection[str] = ("running",), before: Written | None = None) -> None:
    """Say in the record of a run what ended it, as the run itself could not.

    Args:
        over: what the record may say so far: "running", or "failed" for what followed from this error.
        before: the record as the run began; what has not been written since is not of this run.

    Raises:
        UserError, OSError: the record cannot be read, or written.
    """
    path = folder / RESULT
    if written(path) in (None, before):
        return
    result: dict[str, Any] = read_json(path)
    if result.get("status") in over:
        write_json_atomic(path, result | {"status": "failed", "error": error})


def write_config(folder: Path, tree: Mapping[str, Any]) -> None:
    """Write the configuration that the run is made by."""
    import yaml  # only who trains or draws needs it

    write_text_atomic(folder / CONFIG, yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True))


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run. Raises UserError: there is none, or it is broken."""
    import yaml

    path = folder / CONFIG
    try:
        # The loader in C, where PyYAML has it, is ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found = yaml.load(path.read_text(encoding="utf-8"), loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise not_a_run(path, error) from error
    if not isinstance(found, dict):
        raise not_a_run(path, "no mapping")
    return found


def not_a_run(path: Path, why: object) -> UserError:
    """That a configuration is not one of a training run."""
    return UserError(f"{path}: not the configuration of a run ({' '.join(str(why).split())})")

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
_NAMED = 4  # of the settings that differ, in a message
# Settings that no result depends on, by the part of the configuration.
NOT_IN_IDENTITY = {
    "": {"paths", "logger", "study", "folder", "seed", "sweep", "overwrite", "stages", "objective", "varies", "bench"}
    | {"keep_epochs"},
    "data": {  # settings of the pack, whose own digest is part of the identity
        *("source", "boxes", "root", "pack", "crop_px", "near_duplicates", "keep_neighbours", "allow_missing"),
        *("known", "sets", "epochs"),
    },
    "trainer": {"progress", "workers", "log_every_n_steps"},
    "balance": {"name"},
}
FileVersion = tuple[int, int]
"""The version of a file, as (inode, modification time): each write makes a new file and renames it."""


def read_result_json(folder: Path) -> dict[str, Any]:
    """Return the content of the run's result.json, whatever its schema and status; an empty dict if there is none.

    Raises:
        UserError: the file is broken.
    """
    path = folder / RESULT
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


@dataclass(frozen=True)
class RunState:
    """The state of a run's folder.

    Attributes:
        kind: "missing", "unfinished" (interrupted, or still running), "finished", or "stale": worth keeping, but made
            with other code, data, start or configuration.
        result: content of result.json, if there is one.
        changed: what differs in a stale result: keys of the identity.
        settings: names of the settings that differ in a stale result; None if that is not known.
    """

    kind: Literal["missing", "unfinished", "finished", "stale"]
    result: dict[str, Any] | None = None
    changed: tuple[str, ...] = ()
    settings: tuple[str, ...] | None = None

    @property
    def differences(self) -> str:
        """Return in words what differs in a stale result, e.g. "code and config (epochs, optim.name)"."""
        config = "config"
        if self.settings is not None:
            more = len(self.settings) - _NAMED
            named = ", ".join(self.settings[:_NAMED]) + (f", {more} more" if more > 0 else "")
            config += f" ({named or 'equal settings on other devices, or with other threads'})"
        parts = [config if key == "config" else key for key in self.changed]
        return " and ".join(parts)

    def describe(self) -> str:
        """Describe the state in words, for the list of what a sweep would do."""
        if self.kind == "stale":
            return f"stale (made with different {self.differences})"
        failed = self.result and self.result.get("error")
        return f"{self.kind} ({failed})" if failed else self.kind


def read_run_state(folder: Path, identity: Mapping[str, str], settings: Mapping[str, Any] | None = None) -> RunState:
    """Return the state of a run's folder, seen from a run with this identity.

    Args:
        folder: folder of the run.
        identity: digests of code, data, start and configuration, and the seed; see `provenance.run_identity`.
        settings: the run's configuration; None: the settings in which a stale result differs are not named.

    Raises:
        UserError: result.json is broken.
    """
    path = folder / RESULT
    if not path.is_file():
        return RunState("missing")
    result: dict[str, Any] = read_json(path)
    finished = result.get("status") == "finished"
    changed = tuple(key for key, value in identity.items() if result.get("identity", {}).get(key) != value)
    if not changed:
        return RunState("finished" if finished else "unfinished", result)
    worth_keeping = finished or any((folder / "checkpoints" / name).exists() for name in (RESUME, RESUME_BEFORE))
    if not worth_keeping:
        return RunState("missing", result, changed)
    return RunState("stale", result, changed, None if settings is None else _different_settings(folder, settings))


def settings_of_identity(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings on which a run's result depends, of its configuration `tree`, as they were given."""
    found = {key: value for key, value in tree.items() if key not in NOT_IN_IDENTITY[""]}
    for part in ("data", "trainer", "balance"):
        found[part] = {key: value for key, value in tree.get(part, {}).items() if key not in NOT_IN_IDENTITY[part]}
    return found


def _different_settings(folder: Path, tree: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the settings in which the run's config.yaml differs from `tree`; None without that file."""
    try:
        old = settings_of_identity(read_config(folder))
    except (UserError, AttributeError):  # there is none, or it is of something else
        return None
    new = settings_of_identity(tree)
    if old.get("init_from") is new.get("init_from") is None:  # then there are no heads to keep
        new["heads"] = old.get("heads")
    found: list[str] = []

    def collect_differences(one: Mapping[str, Any], other: Mapping[str, Any], place: str) -> None:
        for key in dict.fromkeys((*one, *other)):
            ours, theirs = one.get(key), other.get(key)
            if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
                collect_differences(ours, theirs, f"{place}{key}.")
            elif ours != theirs:
                found.append(f"{place}{key}")

    collect_differences(new, old, "")
    return tuple(found)


def finished_result_or_clean_up(
    folder: Path, identity: Mapping[str, str], overwrite: bool, settings: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the finished result in `folder`; if there is none, delete what a new run must not use, and return None.

    The caller holds the folder's lock.

    Args:
        folder: folder of the run.
        identity: see `read_run_state`.
        overwrite: whether a stale result is deleted.
        settings: see `read_run_state`.

    Raises:
        UserError: the result is stale and must not be overwritten.
    """
    for place in (folder, folder / "checkpoints", folder / PEOPLE, *(folder / "csv").glob("version_*")):
        remove_leftovers(place)
    state = read_run_state(folder, identity, settings)
    if state.kind == "finished":
        remove_training_checkpoints(folder)  # they are still there if the run was killed after writing its result
        return state.result
    if state.kind == "stale" and not overwrite:
        raise UserError(
            describe_stale_result(folder, state) + "; move the folder away, choose another paths.outputs, or "
            "replace it: overwrite=true (in a sweep: sweep.redo=stale)"
        )
    if state.kind == "missing":  # without a record it is unknown which run these checkpoints belong to
        (folder / "checkpoints" / RESUME).unlink(missing_ok=True)
        (folder / "checkpoints" / RESUME_BEFORE).unlink(missing_ok=True)
    if state.changed:
        for made in (*(folder / "checkpoints").glob("*.ckpt"), *(folder / PEOPLE).glob("*.npz")):
            made.unlink()
        (folder / RESULT).unlink()
    return None


def evaluated_checkpoint(folder: Path) -> Path:
    """Return the path of the checkpoint that is evaluated: the one that the setting `select` chose (best or last)."""
    return folder / "checkpoints" / CHOSEN


def remove_training_checkpoints(folder: Path) -> None:
    """Delete the checkpoints that only training needs: those to resume from, and the best if it was not selected."""
    for spent in (RESUME, RESUME_BEFORE, OTHER_BEST):
        (folder / "checkpoints" / spent).unlink(missing_ok=True)


def describe_stale_result(folder: Path, state: RunState) -> str:
    """Return the beginning of a message that says in which parts of its identity a stale result differs."""
    return f"{folder / 'result.json'}: was made with different {state.differences}"


def objective_value(result: Mapping[str, Any], metric_name: str) -> float | None:
    """Return the value of a metric in a finished run; None if it has none, e.g. as its task is not trained.

    Args:
        result: content of result.json.
        metric_name: `<split>/<metric>`, as in the setting `objective`.

    Raises:
        UserError: no run has a metric of that name.
    """
    split, _, metric = metric_name.partition("/")
    values = result.get("metrics", {}).get(split, {})
    value = values.get(metric)
    if metric not in values and not metric.endswith("_error"):
        raise UserError(
            f"objective: no metric {metric_name!r}; there are {', '.join(f'{split}/{key}' for key in values)}"
        )
    return None if value is None else float(value)


def incomplete_wandb_runs(folders: Iterable[Path], finished_since: str = "") -> list[str]:
    """Return the names of the finished runs in these folders whose metrics are not all in W&B, each with the reason.

    Args:
        folders: folders of the runs.
        finished_since: time in UTC, in ISO format; runs that finished earlier are left out.
    """
    found = []
    for folder in folders:
        with suppress(UserError):  # without a record the run is not finished
            result = read_json(folder / RESULT)
            if result.get("mirror_lost") and result["finished"] >= finished_since:
                found.append(f"{result['row']} · seed {result['seed']} ({result['mirror_lost']})")
    return found


def first_start_time(folder: Path) -> str | None:
    """Return the time, in ISO format, at which the run of `folder` was first started; None if it has not been."""
    path = folder / RESULT
    return read_json(path).get("started") if path.is_file() else None


def write_result(folder: Path, status: str, fields: dict[str, Any], write_file: bool = True) -> dict[str, Any]:
    """Write `result.json` with the run's status (running, failed or finished), and return its content.

    Args:
        fields: fields of `Result`, apart from schema and status.
        write_file: whether to write the file; in a run of several processes only the first one writes it.
    """
    unknown = fields.keys() - Result.model_fields.keys()
    assert not unknown, f"Result has no {unknown}"
    result = {"schema": SCHEMA, "status": status, **fields}
    Result.from_json(result)
    if write_file:
        write_json_atomic(folder / RESULT, result)
    return result


def file_version(path: Path) -> FileVersion | None:
    """Return the version of a file, which changes when it is written, even with equal content; None without a file."""
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
        version_before: version of the file before the run began; a file that still has it is of an earlier run, and is
            left as it is.

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


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write the run's configuration to config.yaml."""
    import yaml  # imported here as few callers need it

    write_text_atomic(folder / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration in a run's config.yaml. Raises UserError if it is missing or broken."""
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
        raise not_a_run_error(path, "not a mapping")
    return found


def not_a_run_error(path: Path, why: object) -> UserError:
    """Return a UserError whose message says that a file is not the configuration of a training run, and why."""
    return UserError(f"{path}: not the configuration of a run ({' '.join(str(why).split())})")

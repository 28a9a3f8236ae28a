"""`result.json`, the record of truth of one run: its state, and whether a new call has anything to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hmlpe.errors import UserError
from hmlpe.files import read_json, write_json_atomic
from hmlpe.training.ranks import is_first

SCHEMA = 1


def finished_result(folder: Path, identity: dict[str, str], overwrite: bool) -> dict[str, Any] | None:
    """The result in `folder` if it is finished; None if there is work to do.

    Args:
        identity: digests of code, data and config, and the seed, that the result must be of.
        overwrite: forget a result of anything else.

    Raises:
        UserError: the folder belongs to something else, and must not be overwritten.
    """
    path, resume = folder / "result.json", folder / "checkpoints" / "resume.ckpt"
    if not path.is_file():
        resume.unlink(missing_ok=True)  # nobody knows what it is of
        return None
    result: dict[str, Any] = read_json(path)
    changed = [key for key, value in identity.items() if result.get("identity", {}).get(key) != value]
    if not changed:
        return result if result["status"] == "finished" else None
    worth_keeping = result.get("status") == "finished" or resume.exists()
    if worth_keeping and not overwrite:
        raise UserError(
            f"{path}: is of another {' and '.join(changed)}; move the folder away, choose another paths.outputs, "
            "or let it be replaced: overwrite=true"
        )
    for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
        checkpoint.unlink()
    path.unlink()
    return None


def first_start(folder: Path) -> str | None:
    """When the run of `folder` was first started, if it was."""
    path = folder / "result.json"
    return read_json(path).get("started") if path.is_file() else None


def write_result(folder: Path, status: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Write `result.json` with its state: running, failed or finished. Returns it; one process of a run writes it."""
    result = {"schema": SCHEMA, "status": status, **fields}
    if is_first():
        write_json_atomic(folder / "result.json", result)
    return result

"""Whether a new call has anything to do, and what it may remove."""

import json
from pathlib import Path

import pytest

from hmlpe.errors import UserError
from hmlpe.training.checkpoint import readable
from hmlpe.training.fit import monitored
from hmlpe.training.result import finished_result, first_start, write_result

OURS = {"code": "a", "data": "b", "config": "c", "seed": "1"}
OTHER = {**OURS, "config": "d"}


def put(folder: Path, status: str, identity: dict[str, str], resume: bool) -> Path:
    write_result(folder, status, {"identity": identity, "started": "then"})
    checkpoint = folder / "checkpoints" / "resume.ckpt"
    checkpoint.parent.mkdir()
    if resume:
        checkpoint.write_bytes(b"state")
    return checkpoint


def test_a_finished_run_of_ours_is_skipped(tmp_path: Path) -> None:
    put(tmp_path, "finished", OURS, resume=False)
    assert finished_result(tmp_path, OURS, overwrite=False) == json.loads((tmp_path / "result.json").read_text())


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_broken_run_of_ours_goes_on(tmp_path: Path, status: str) -> None:
    checkpoint = put(tmp_path, status, OURS, resume=True)
    assert finished_result(tmp_path, OURS, overwrite=False) is None
    assert checkpoint.exists() and first_start(tmp_path) == "then"


@pytest.mark.parametrize(("status", "resume"), [("finished", False), ("running", True), ("failed", True)])
def test_work_of_another_configuration_is_kept_unless_told(tmp_path: Path, status: str, resume: bool) -> None:
    checkpoint = put(tmp_path, status, OTHER, resume)
    with pytest.raises(UserError, match=r"is of another config; .* overwrite=true"):
        finished_result(tmp_path, OURS, overwrite=False)
    assert (tmp_path / "result.json").exists() and checkpoint.exists() == resume
    assert finished_result(tmp_path, OURS, overwrite=True) is None
    assert not (tmp_path / "result.json").exists() and not checkpoint.exists()


def test_a_failure_before_any_epoch_locks_nothing(tmp_path: Path) -> None:
    put(tmp_path, "failed", OTHER, resume=False)
    assert finished_result(tmp_path, OURS, overwrite=False) is None


def test_a_state_without_its_record_is_not_resumed(tmp_path: Path) -> None:
    checkpoint = put(tmp_path, "running", OURS, resume=True)
    (tmp_path / "result.json").unlink()
    assert finished_result(tmp_path, OURS, overwrite=False) is None
    assert not checkpoint.exists() and first_start(tmp_path) is None


def test_a_cut_checkpoint_is_not_readable(tmp_path: Path) -> None:
    checkpoint = put(tmp_path, "running", OURS, resume=True)
    assert not readable(checkpoint)


def test_regression_chooses_the_checkpoint_in_any_order() -> None:
    assert monitored(["detection", "regression"]) == monitored(["regression", "detection"]) == "regression"
    assert monitored(["detection"]) == "detection"


def test_what_cannot_be_opened_is_not_called_broken(tmp_path: Path) -> None:
    """The caller deletes broken checkpoints; one that is out of reach may be whole."""
    (tmp_path / "resume.ckpt").mkdir()
    with pytest.raises(OSError, match=r"resume\.ckpt"):
        readable(tmp_path / "resume.ckpt")

"""Whether a new call has anything to do, and what it may remove."""

import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from hmlpe.errors import UserError
from hmlpe.files import write_text_atomic
from hmlpe.runs.folder import (
    file_version,
    finished_result_or_clean_up,
    first_start_time,
    mark_failed,
    objective_value,
    read_run_state,
    write_config,
    write_result,
)
from hmlpe.training.checkpoint import find_resume_checkpoint, is_readable, monitored_metric
from hmlpe.training.mirrors import SweepMirrors

OURS = {"code": "a", "data": "b", "config": "c", "seed": "1"}
OTHER = {**OURS, "config": "d"}
WHOLE = {
    **dict.fromkeys(("experiment", "protocol", "checkpoint_rule", "recipe", "network", "row"), "a"),
    **{"epochs": 1, "steps": 1, "seed": 1, "weights": {"a": 1.0}, "people": {"test": 1}, "metrics": {"test": {}}},
    "provenance": dict.fromkeys(("data", "code", "config", "settings"), "a"),
}


def put(folder: Path, status: str, identity: dict[str, str], resume: bool) -> Path:
    write_result(folder, status, WHOLE | {"identity": identity, "started": "then"})
    checkpoint = folder / "checkpoints" / "resume.ckpt"
    checkpoint.parent.mkdir()
    if resume:
        checkpoint.write_bytes(b"state")
    return checkpoint


def test_a_finished_run_of_ours_is_skipped(tmp_path: Path) -> None:
    put(tmp_path, "finished", OURS, resume=False)
    assert finished_result_or_clean_up(tmp_path, OURS, overwrite=False) == json.loads(
        (tmp_path / "result.json").read_text()
    )


def test_what_a_kill_after_the_last_write_has_left_is_removed(tmp_path: Path) -> None:
    checkpoint = put(tmp_path, "finished", OURS, resume=True)
    others = [checkpoint.with_name(name) for name in ("resume_before.ckpt", "best.ckpt", "model.ckpt")]
    for path in others:
        path.touch()
    assert finished_result_or_clean_up(tmp_path, OURS, overwrite=False) is not None
    assert [path.name for path in checkpoint.parent.iterdir()] == ["model.ckpt"]


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_broken_run_of_ours_goes_on(tmp_path: Path, status: str) -> None:
    checkpoint = put(tmp_path, status, OURS, resume=True)
    half = checkpoint.with_name(".resume.ckpt.17.tmp")
    half.touch()
    assert finished_result_or_clean_up(tmp_path, OURS, overwrite=False) is None
    assert checkpoint.exists() and not half.exists() and first_start_time(tmp_path) == "then"


@pytest.mark.parametrize(("status", "resume"), [("finished", False), ("running", True), ("failed", True)])
def test_work_of_another_configuration_is_kept_unless_told(tmp_path: Path, status: str, resume: bool) -> None:
    checkpoint = put(tmp_path, status, OTHER, resume)
    with pytest.raises(UserError, match=r"was made with different config; .* overwrite=true"):
        finished_result_or_clean_up(tmp_path, OURS, overwrite=False)
    assert (tmp_path / "result.json").exists() and checkpoint.exists() == resume
    assert finished_result_or_clean_up(tmp_path, OURS, overwrite=True) is None
    assert not (tmp_path / "result.json").exists() and not checkpoint.exists()


def test_a_failure_before_any_epoch_locks_nothing(tmp_path: Path) -> None:
    put(tmp_path, "failed", OTHER, resume=False)
    assert finished_result_or_clean_up(tmp_path, OURS, overwrite=False) is None


def test_a_state_without_its_record_is_not_resumed(tmp_path: Path) -> None:
    checkpoint = put(tmp_path, "running", OURS, resume=True)
    (tmp_path / "result.json").unlink()
    assert finished_result_or_clean_up(tmp_path, OURS, overwrite=False) is None
    assert not checkpoint.exists() and first_start_time(tmp_path) is None


def test_a_cut_checkpoint_is_not_readable(tmp_path: Path) -> None:
    checkpoint = put(tmp_path, "running", OURS, resume=True)
    assert not is_readable(checkpoint)


def test_regression_chooses_the_checkpoint_in_any_order() -> None:
    assert (
        monitored_metric(["detection", "regression"])
        == monitored_metric(["regression", "detection"])
        == "val/regression_error"
    )
    assert monitored_metric(["detection"]) == "val/detection_error"


def test_what_cannot_be_opened_is_not_called_broken(tmp_path: Path) -> None:
    """The caller deletes broken checkpoints; one that is out of reach may be whole."""
    (tmp_path / "resume.ckpt").mkdir()
    with pytest.raises(OSError, match=r"resume\.ckpt"):
        is_readable(tmp_path / "resume.ckpt")


def test_the_state_of_a_folder_is_said_in_words(tmp_path: Path) -> None:
    assert read_run_state(tmp_path, OURS).describe() == "missing"
    put(tmp_path, "failed", OURS, resume=True)
    assert read_run_state(tmp_path, OURS).describe() == "unfinished"
    assert read_run_state(tmp_path, OTHER).describe() == "stale (made with different config)"
    assert read_run_state(tmp_path, OTHER, {"epochs": 2}).settings is None, "there is no config.yaml"
    old = {"epochs": 1, "optim": {"name": "sgd", "batch_size": 8}, "study": "x", "heads": "keep", "init_from": None}
    old |= {"data": {"root": "a", "subset": 3}, "balance": {"name": "fixed"}, "tasks": {"one": {}}}
    write_config(tmp_path, old)
    same = {**old, "study": "y", "seed": 1, "heads": "renew", "data": {"root": "b", "subset": 3}, "balance": {}}
    assert read_run_state(tmp_path, OTHER, same).differences == (
        "config (equal settings on other devices, or with other threads)"
    )
    changed = {**same, "optim": {"name": "sgd", "batch_size": 9}, "tasks": {}}
    assert read_run_state(tmp_path, OTHER, changed).settings == ("optim.batch_size", "tasks.one")
    assert read_run_state(tmp_path, OTHER, {**old, "epochs": 2}).describe() == (
        "stale (made with different config (epochs))"
    )
    many = read_run_state(tmp_path, OTHER, old | dict.fromkeys("abcdef", 0)).differences
    assert many == "config (a, b, c, d, 2 more)"
    write_result(tmp_path, "failed", WHOLE | {"identity": OURS, "error": "interrupted"})
    assert read_run_state(tmp_path, OURS).describe() == "unfinished (interrupted)"


def test_the_objective_is_a_metric_of_a_split() -> None:
    result = {"metrics": {"val": {"regression_error": 0.5, "window_ap": None}}}
    assert objective_value(result, "val/regression_error") == 0.5
    assert objective_value(result, "val/window_ap") is objective_value(result, "val/detection_error") is None
    with pytest.raises(UserError, match=r"objective: no metric 'val/window_AP'; there are val/regression_error, val/w"):
        objective_value(result, "val/window_AP")


def test_a_record_is_amended_only_if_the_run_wrote_it(tmp_path: Path) -> None:
    record = tmp_path / "result.json"
    mark_failed(tmp_path, "killed")
    assert not record.exists()
    for status in ("running", "failed", "finished"):
        text = json.dumps({"schema": 2, "status": status, "row": "x", "error": "of the others"})
        for over in (("running",), ("running", "failed")):
            write_text_atomic(record, text)
            before = file_version(record)
            mark_failed(tmp_path, "killed", over, before)
            assert record.read_text() == text
            write_text_atomic(record, text)  # by the run, which says what one before it said, too
            mark_failed(tmp_path, "killed", over, before)
            new = {"status": "failed", "error": "killed"} if status in over else {}
            assert json.loads(record.read_text()) == json.loads(text) | new


def test_runs_whose_mirror_was_lost_are_named_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def put_lost(name: str, status: str, finished: str, lost: str | None) -> None:
        fields = {"row": name, "seed": 2, "finished": finished}
        write_result(tmp_path / name, status, WHOLE | fields | ({"mirror_lost": lost} if lost else {}))

    put_lost("whole", "finished", "2026-02", None)
    put_lost("a", "finished", "2026-02", "OSError: x")
    put_lost("b", "finished", "2026-02", "it could not start")
    put_lost("before", "finished", "2026-01", "OSError: y")
    (tmp_path / "none").mkdir()
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}, "launcher": {"_target_": "Basic"}}})
    mirrors = SweepMirrors()
    mirrors.on_multirun_start(config)
    mirrors.on_multirun_end(config)
    assert not caplog.messages  # they are of an earlier sweep
    mirrors.since = "2026-02"
    mirrors.on_multirun_end(config)
    assert caplog.messages == [
        "incomplete in W&B, complete in the CSV: a · seed 2 (OSError: x); b · seed 2 (it could not start)"
    ]


def zipped(path: Path, value: int) -> None:
    torch.save({"epoch": value, "weights": torch.arange(1000)}, path)


def test_a_damaged_state_is_said_and_the_one_before_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    last, before = tmp_path / "resume.ckpt", tmp_path / "resume_before.ckpt"
    zipped(last, 2)
    zipped(before, 1)
    assert find_resume_checkpoint(tmp_path, [], "run") == last
    damaged = bytearray(last.read_bytes())
    damaged[damaged.index(torch.arange(1000).numpy().tobytes()) + 4000] ^= 1  # one bit, inside of the weights
    last.write_bytes(damaged)
    assert find_resume_checkpoint(tmp_path, [], "run") == before
    assert "resume.ckpt is damaged; going back to the one before it" in caplog.text
    assert not last.exists()
    before.write_bytes(b"cut")
    assert find_resume_checkpoint(tmp_path, [], "run") is None
    assert "resume_before.ckpt is damaged; going back to the start" in caplog.text


def test_states_whose_best_epoch_is_damaged_are_of_no_use(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    zipped(tmp_path / "resume.ckpt", 2)
    zipped(tmp_path / "model.ckpt", 1)
    assert find_resume_checkpoint(tmp_path, [tmp_path / "model.ckpt"], "run") == tmp_path / "resume.ckpt"
    (tmp_path / "model.ckpt").write_bytes((tmp_path / "model.ckpt").read_bytes()[:-100])
    assert find_resume_checkpoint(tmp_path, [tmp_path / "model.ckpt"], "run") is None
    assert "model.ckpt is damaged; going back to the start" in caplog.text
    assert not list(tmp_path.iterdir())

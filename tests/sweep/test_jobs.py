"""Jobs: their names, folders, results; what is written down of them; what is there of them."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

import hmlpe.sweep.batch as batch
from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.runs.folder import RunState
from hmlpe.sweep.jobs import Job, compose_jobs, mark_job_failed, write_sweep_json
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.survey import Survey, _survey_in_this_process

from .fakes import job, starter
from .programs import TINY


def jobs_of(*batch: list[str], data: Path, outputs: Path) -> list[Job]:
    words = ["experiment=weight_ablation", f"paths.data={data}", f"paths.outputs={outputs}", *TINY]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        base: DictConfig = loader.load_configuration("train", words, RunMode.MULTIRUN)
        return compose_jobs(
            HydraContext(config_loader=loader, callbacks=Callbacks()), base, [[*one, *words] for one in batch], 4
        )


def test_each_job_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first, second = jobs_of(["row=det_1", "seed=1"], ["row=det_1", "seed=2"], data=tmp_path, outputs=tmp_path)
    assert (first.name, first.number, second.number) == ("det_1 · seed 1", 4, 5)
    assert first.folder == tmp_path / "weight_ablation" / "det_1_s1"
    assert first.log_file == first.folder / "hmlpe-train.log"
    with pytest.raises(
        UserError, match=r"det_1_s1: would be the folder of two runs .*epochs=1.*; .*epochs=2.*row.name"
    ):
        jobs_of(["row=det_1", "epochs=1"], ["row=det_1", "epochs=2"], data=tmp_path, outputs=tmp_path)


def test_the_sweeper_gets_a_value_or_an_error() -> None:
    done, failed = job(1), job(2)
    done.outcome, done.value = Outcome("finished"), 0.5
    failed.outcome = Outcome("timed_out", "after 3 s")
    assert done.to_job_return().return_value == 0.5
    with pytest.raises(UserError, match=r"^row2 · seed 1: timed out: after 3 s$"):
        _ = failed.to_job_return().return_value


def test_what_is_there_is_found_without_running(data: Path, tmp_path: Path) -> None:
    jobs = jobs_of(["row=det_1"], ["row=det_10"], ["row=det_100", "epochs=0"], data=data, outputs=tmp_path)
    stale = jobs[1].folder / "result.json"
    stale.parent.mkdir(parents=True)
    stale.write_text(json.dumps({"status": "finished", "identity": {}}))
    found = _survey_in_this_process(jobs, False)
    missing, old, wrong = found.states
    assert not isinstance(missing, UserError) and missing.kind == "missing"
    assert not isinstance(old, UserError) and old.kind == "stale" and "code" in old.changed
    assert isinstance(wrong, UserError) and str(wrong).startswith("epochs: ")
    assert found.steps[0] == pytest.approx(54 * jobs[0].config.epochs / 16)
    assert (found.gpus, found.seconds_per_step) == (0, None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [stale]


def test_how_every_job_stands_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jobs = [job(1, tmp_path), job(2, tmp_path)]
    jobs[0].outcome, jobs[0].attempts, jobs[0].seconds = Outcome("killed", "by signal 9"), {"killed": 2}, 12.34
    write_sweep_json(tmp_path, jobs)
    rows = json.loads((tmp_path / "sweep.json").read_text())["jobs"]
    assert [(row["job"], row["outcome"], row["message"], row["tries"], row["seconds"]) for row in rows] == [
        ("row1 · seed 1", "killed", "by signal 9", {"killed": 2}, 12.3),
        ("row2 · seed 1", None, None, {}, 0.0),
    ]
    (tmp_path / "file").touch()
    write_sweep_json(tmp_path / "file", jobs)  # no folder: said, and no more
    assert "sweep.json: not written (" in caplog.text


def test_batches_of_a_search_are_one_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweeper that asks again and again: the record holds all jobs, each once."""
    first, second = job(1, tmp_path), job(2, tmp_path)
    asked = iter([[first], [second], [first]])
    monkeypatch.setattr(batch, "start_fork_server", lambda: None)
    monkeypatch.setattr(batch, "compose_jobs", lambda *words: next(asked))
    monkeypatch.setattr(
        batch, "survey_jobs", lambda jobs, measure_step_time: Survey([RunState("missing")], [1.0], None, 0)
    )
    monkeypatch.setattr(batch.Batch, "start_attempt", lambda self, job, slot: starter({}, [])(job, slot))
    settings = {"on_failure": "go_on", "timeout_s": None, "grace_s": 1, "retries": {}, "progress": "none", "n_jobs": 1,
                "devices": "auto"}  # fmt: skip
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}, "sweep": {"redo": "missing"}})
    context = HydraContext(config_loader=Mock(ConfigLoader), callbacks=Callbacks())
    known: dict[Path, Job] = {}
    for _ in range(3):
        batch.Batch(settings, context, print, config, known).run([[]], 0)
    rows = json.loads((tmp_path / "sweep.json").read_text())["jobs"]
    assert [(row["job"], row["outcome"]) for row in rows] == [
        ("row1 · seed 1", "finished"),
        ("row2 · seed 1", "finished"),
    ]


def test_only_a_run_that_says_it_runs_is_marked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = job(1, tmp_path)
    one.outcome = Outcome("killed", "by signal 9")
    path = one.folder / "result.json"
    mark_job_failed(one)
    assert not path.exists()
    one.folder.mkdir()
    for status, expected in (("running", "failed"), ("finished", "finished"), ("failed", "failed")):
        path.write_text(json.dumps({"status": status, "seed": 1}))
        mark_job_failed(one)
        result = json.loads(path.read_text())
        assert (result["status"], result["seed"]) == (expected, 1)
        assert ("error" in result) == (status == "running")
    path.write_text("{")
    mark_job_failed(one)
    assert "could not be marked as failed" in caplog.text

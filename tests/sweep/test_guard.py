"""What is refused before Hydra makes a folder or a launcher starts a job, and the dry run, under every launcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import hmlpe.sweep.guard as guard
from hmlpe.cli.command_line import CONFIGS
from hmlpe.errors import UserError
from hmlpe.sweep.jobs import Job, is_training_config

from ..programs import run
from .programs import TINY

QUEUES = {"submitit_slurm": ("submitit", "Slurm"), "ray": ("ray", "Ray")}
LAUNCHERS = ["basic", "joblib", "isolated", *QUEUES]
QUEUE = """
from pathlib import Path
from hydra.plugins.launcher import Launcher
class {}Launcher(Launcher):
    def __init__(self, **settings): pass
    def setup(self, **given): pass
    def launch(self, batch, **first):
        Path("queued").touch()
        return []
"""


@pytest.fixture(scope="module")
def queues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins of the plugins of the clusters, that note what is put into a queue; for PYTHONPATH."""
    root = tmp_path_factory.mktemp("plugins")
    for plugin, kind in QUEUES.values():
        folder = root / "hydra_plugins" / f"hydra_{plugin}_launcher"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / f"{plugin}_launcher.py").write_text(QUEUE.format(kind))
    return root


def train(launcher: str, folder: Path, queues: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What came of a sweep by the launcher, called in the folder."""
    words = ("-m", *TINY, "logger=csv", f"hydra/launcher={launcher}", *words)
    if launcher == "joblib" and "sweep.dry_run=true" not in words:  # its own processes do not start from a fork
        command = [sys.executable, "-m", "hmlpe.cli.train", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)
    paths = os.pathsep.join([str(queues), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | ({"PYTHONPATH": paths} if launcher in QUEUES else {})
    return run("train", *words, folder=folder, environment=environment)


def files(folder: Path) -> set[str]:
    """All but the sweeper's own note of what was asked for."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {"multirun.yaml", ".lock"}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_dry_run_that_cannot_look_starts_nothing(launcher: str, tmp_path: Path, queues: Path) -> None:
    done = train(launcher, tmp_path, queues, "seed=1,2", "sweep.dry_run=true", "paths.data=my packs")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: my packs/embedded: no pack here; make it with: hmlpe-prepare data=embedded paths.data='my packs'"
    )
    assert "Traceback" not in done.stderr and "Callback" not in done.stderr
    assert not files(tmp_path)


@pytest.mark.parametrize("launcher", ["basic", "isolated", "submitit_slurm"])  # the others go basic's way
def test_a_dry_run_says_what_would_run(launcher: str, tmp_path: Path, data: Path, queues: Path) -> None:
    words = ["row.weights.detection=0.01,0.5", "sweep.dry_run=true", f"paths.data={data}", "epochs=1"]
    done = train(launcher, tmp_path, queues, *words)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert all(name in said for name in ("det_0.01", "det_0.5")) and said.count(": missing") == 2
    assert "2 runs" in said and "of training on this machine" in said
    assert not files(tmp_path)


SHARED = (
    "would be the folder of two runs (epochs=1; epochs=2); make row.name differ between them: "
    "'row.name=det_0.1_epochs${epochs}'"
)
SLASH = "row.name: must be a plain name, as it names a folder, got 'lr/0.1'"


@pytest.mark.parametrize(
    ("launcher", "word", "error"),
    [
        *((launcher, "epochs=1,2", SHARED) for launcher in ("basic", "isolated", "ray")),
        *((launcher, "row.name=lr/0.1", SLASH) for launcher in ("basic", "isolated")),
    ],
)
def test_rows_without_a_folder_of_their_own_are_refused(
    launcher: str, word: str, error: str, tmp_path: Path, data: Path, queues: Path
) -> None:
    done = train(launcher, tmp_path, queues, word, f"paths.data={data}")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and last.startswith("error: ") and last.endswith(error), done.stderr
    assert not files(tmp_path)


def test_the_advised_name_tells_them_apart(tmp_path: Path, data: Path) -> None:
    words = ["epochs=1,2", "row.name=det_0.1_epochs${epochs}", f"paths.data={data}", "sweep.dry_run=true"]
    done = train("basic", tmp_path, tmp_path, *words)
    assert done.returncode == 0 and "det_0.1_epochs1_s1: missing" in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow), "isolated"])
def test_rows_are_trained_under_the_names_of_their_weights(launcher: str, tmp_path: Path, data: Path) -> None:
    words = ["row.weights.detection=0.01,0.5", "epochs=1", f"paths.data={data}", "study=s"]
    done = train(launcher, tmp_path, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    found = {}
    for path in (tmp_path / "outputs" / "s").glob("*/result.json"):
        result = json.loads(path.read_text())
        found[path.parent.name] = (result["row"], result["weights"]["detection"])
    assert found == {"det_0.01_s1": ("det_0.01", 0.01), "det_0.5_s1": ("det_0.5", 0.5)}


@pytest.mark.slow  # the next one holds what it is by
def test_a_bad_first_row_is_that_rows_alone(tmp_path: Path, data: Path) -> None:
    words = ["heads=bogus,keep", "row.name=t${heads}", "epochs=1", f"paths.data={data}", "study=s"]
    done = train("basic", tmp_path, tmp_path, *words)
    assert done.returncode == 2 and "heads: must be one of keep, renew, got 'bogus'" in done.stderr, done.stderr
    assert {path.parent.name for path in (tmp_path / "outputs" / "s").glob("*/result.json")} == {"tkeep_s1"}


def test_the_estimate_is_by_the_first_row_whose_settings_can_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", return_hydra_config=False)
    jobs = [Job(0, [], OmegaConf.merge(config, {"heads": word}), tmp_path) for word in ("bogus", "keep")]
    monkeypatch.setattr(guard, "estimate_steps", lambda settings: 60.0)
    monkeypatch.setattr(guard, "seconds_per_step", lambda settings: 1.0)
    assert guard.duration_in_words(jobs, tmp_path).startswith("single: 2 runs of ")
    assert "about 2 minutes" in guard.duration_in_words(jobs, tmp_path)
    assert guard.duration_in_words(jobs[:1], tmp_path) == ""


def test_a_configuration_of_ones_own_trains_too() -> None:
    """`--config-name mine`, whose defaults are [train]; other programs' have a name of their own."""
    for name, word, expected in (("mine", "hmlpe-train", True), ("mine", "hmlpe-bench", False), ("train", "x", True)):
        assert is_training_config(OmegaConf.create({"hydra": {"job": {"name": word}}}), name) is expected


def test_balances_are_rows_of_their_own(tmp_path: Path, data: Path) -> None:
    """The same row under three balances; and one that needs two tasks is refused for a row of one before it starts."""
    words = ["balance=fixed,uncertainty,pcgrad", "epochs=1", f"paths.data={data}", "study=s"]
    done = train("basic", tmp_path, tmp_path, "row=det_1", *words)
    assert done.returncode == 0, done.stderr
    records = {p.parent.name: json.loads(p.read_text()) for p in (tmp_path / "outputs" / "s").glob("*/result.json")}
    balances = {name: record["balance"] for name, record in records.items()}
    assert {name: balance["name"] for name, balance in balances.items()} == {
        "det_1_s1": "fixed", "det_1_uncertainty_s1": "uncertainty", "det_1_pcgrad_s1": "pcgrad"}  # fmt: skip
    as_given = {"regression": 1.0, "detection": 1.0}
    assert all(record["weights"] == as_given for record in records.values())
    assert balances["det_1_s1"]["weights"] == balances["det_1_pcgrad_s1"]["weights"] == as_given
    assert all(0.9 < weight < 1.1 and weight != 1 for weight in balances["det_1_uncertainty_s1"]["weights"].values())
    assert len({record["provenance"]["settings"] for record in records.values()}) == 1
    assert len({record["identity"]["config"] for record in records.values()}) == 3

    done = train("isolated", tmp_path, tmp_path, "row=regression_only", "balance=pcgrad", *words[1:])
    assert done.returncode == 2 and done.stderr.splitlines()[-1] == (
        "error: balance: PCGrad combines the gradients of several tasks, but this row has a weight for regression "
        "alone; give another task a weight, or use balance=fixed"
    )


def test_a_single_run_without_a_folder_of_its_own_is_refused(tmp_path: Path) -> None:
    done = run("train", "row.name=lr/0.1", folder=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "error: row.name: must be a plain name, as it names a folder, got 'lr/0.1'\n",
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), UserError("no pack"), OSError(5, "I/O error")])
@pytest.mark.parametrize("dry", [True, False])
def test_no_error_of_the_estimate_lets_a_job_start(
    error: Exception, dry: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hydra turns an Exception of a callback into a warning, and goes on; SystemExit it lets pass."""

    def fails(*words: Any) -> Any:
        raise error

    config = OmegaConf.create(
        {
            "sweep": {"redo": "missing", "dry_run": dry},
            "hydra": {
                "sweep": {"dir": str(tmp_path)},
                "launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
                "sweeper": {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"},
            },
            "trainer": OmegaConf.load(CONFIGS / "trainer" / "default.yaml"),
        }
    )
    for step in ("check_sweep", "compose_all_jobs", "duration_in_words"):
        with monkeypatch.context() as patched:
            patched.setattr(guard, "compose_all_jobs", lambda config: [])
            patched.setattr(guard, step, fails)
            with pytest.raises(SystemExit) as leaving:
                guard.Guard().on_multirun_start(config, config_name="train")
        assert leaving.value.code is error
    assert not GlobalHydra.instance().is_initialized()

"""Launchers and sweepers whose extra is not installed: one line that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hmlpe.cli.ray_worker import enter_folder

WITHOUT = "import sys; sys.modules['hydra_plugins.{}'] = None; from hmlpe.cli.train import main; main()"


@pytest.mark.parametrize(
    ("words", "plugin", "extra"),
    [
        (["seed=1,2", "hydra/launcher=submitit_slurm"], "hydra_submitit_launcher", "slurm"),
        (["seed=1,2", "hydra/launcher=ray"], "hydra_ray_launcher", "ray"),
        (["experiment=weight_search"], "hydra_optuna_sweeper", "optuna"),
    ],
)
def test_a_missing_extra_is_named(words: list[str], plugin: str, extra: str) -> None:
    command = [sys.executable, "-c", WITHOUT.format(plugin), "-m", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"error: {plugin} is not installed; install the extra: pip install -c constraints.txt -e '.[{extra}]' (in the "
        "checkout)"
    )
    assert "Traceback" not in done.stderr


def test_a_ray_worker_finds_packages_as_the_call_did(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PYTHONPATH's folders in their order, before what is installed: also one that was behind it already."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    installed = "/env/site-packages"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [installed, str(tmp_path / "b")])
    monkeypatch.setenv("HMLPE_FOLDER", str(tmp_path))
    monkeypatch.setenv("HMLPE_PATH", f"b{os.pathsep}{os.pathsep}{tmp_path / 'a'}")
    enter_folder()
    assert sys.path == [str(tmp_path / "b"), str(tmp_path / "a"), installed]

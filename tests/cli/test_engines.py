"""Launchers and sweepers whose extra is not installed: one line that names it."""

import subprocess
import sys

import pytest

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

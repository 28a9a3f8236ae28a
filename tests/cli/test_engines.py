"""Launchers whose extra is not installed: one line that names it."""

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules['hydra_plugins.{}'] = None; from hmlpe.cli.train import main; main()"


@pytest.mark.parametrize(
    ("launcher", "plugin", "extra"),
    [("submitit_slurm", "hydra_submitit_launcher", "slurm"), ("ray", "hydra_ray_launcher", "ray")],
)
def test_a_missing_extra_is_named(launcher: str, plugin: str, extra: str) -> None:
    command = [sys.executable, "-c", WITHOUT.format(plugin), "-m", "seed=1,2", f"hydra/launcher={launcher}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"is not installed; install the extra: pip install 'hmlpe[{extra}]'")
    assert "Traceback" not in done.stderr

"""Real engines: a SLURM and a Ray cluster on this machine, started by the scripts beside, and stopped at the end."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DAEMONS = ("munged", "slurmctld", "slurmd")


def missing(what: str, how: str) -> None:
    """Skip, saying why; with HMLPE_CLUSTER=required fail."""
    if os.environ.get("HMLPE_CLUSTER") == "required":
        pytest.fail(f"HMLPE_CLUSTER=required, but {what}: {how}")
    pytest.skip(f"{what}: {how}")


def needs_plugin(name: str, extra: str) -> None:
    if importlib.util.find_spec("hydra_plugins") is None or importlib.util.find_spec(f"hydra_plugins.{name}") is None:
        missing(f"the extra {extra} is not installed", "make test-all installs it")


def started(script: str, place: str) -> Iterator[dict[str, str]]:
    """The environment in which the cluster that `script` starts is found. That it does not start is a failure."""
    folder = Path(tempfile.mkdtemp(prefix="hmlpe-", dir="/tmp"))  # sockets lie in it: a short path
    environment = os.environ | {place: str(folder / "c"), "RAY": f"{sysconfig.get_path('scripts')}/ray"}
    try:
        done = subprocess.run([HERE / script, "start"], env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        exported = done.stdout.strip().removeprefix("export ").split()
        yield environment | dict(one.split("=", 1) for one in exported)
    finally:
        done = subprocess.run([HERE / script, "stop"], env=environment, capture_output=True, text=True, timeout=100)
        shutil.rmtree(folder, ignore_errors=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    needs_plugin("hydra_submitit_launcher", "slurm")
    found = [shutil.which(daemon, path=os.environ["PATH"] + ":/usr/sbin:/sbin") for daemon in DAEMONS]
    if not any(found):  # a part of it is a broken installation, which slurm.sh names
        missing("SLURM is not installed", "tests/cluster/slurm.sh install")
    yield from started("slurm.sh", "HMLPE_SLURM")


@pytest.fixture(scope="module")
def ray() -> Iterator[dict[str, str]]:
    needs_plugin("hydra_ray_launcher", "ray")
    yield from started("ray.sh", "HMLPE_RAY")

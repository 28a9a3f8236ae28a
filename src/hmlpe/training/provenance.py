"""What a result was made by: code, packages, machine."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import hmlpe
from hmlpe.files import digest_of_files

PACKAGES = (
    "torch",
    "lightning",
    "hydra-core",
    "omegaconf",
    "torchmetrics",
    "albumentations",
    "opencv-python-headless",
    "numpy",
)
PACKAGE = Path(hmlpe.__file__).parent


def code_digest() -> str:
    """Digest of the source that numbers depend on: all of the package but what only shows them."""
    shown = ("report", "cli", "inspect")
    sources = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in shown]
    return digest_of_files(sources, PACKAGE)


def provenance(data: str, config: str, precision: str) -> dict[str, Any]:
    """Where a run's numbers come from; `data` and `config` are digests."""
    revision = _git("rev-parse", "HEAD")
    return {
        "git_revision": revision,
        "git_dirty": None if revision is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
        "code": code_digest(),
        "data": data,
        "config": config,
        "packages": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def _git(*arguments: str) -> str | None:
    """Output of git in the package's folder; None where it is not a checkout of this project (an installed wheel)."""
    if not (PACKAGE.parents[1] / "pyproject.toml").is_file():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def device_name() -> str:
    """The GPU, or the CPU, that runs are made on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        names = [line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    except OSError:
        names = []
    return (names[0].strip() if names else platform.processor() or platform.machine()) + " (CPU)"

"""Checkpoints of tiny networks, untrained, but of every shape that a trained one has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from hmlpe.cli.app import CONFIGS
from hmlpe.training.build import build_model, build_tasks
from hmlpe.training.checkpoint import KEY
from hmlpe.training.settings import TrainSettings

TINY = (
    "network=slim",
    "network.head.hidden=[16,16]",
    "network.trunk.stages=[{maps: 4, kernel: 9, relu: true}, {maps: 4, kernel: 5, relu: true}]",
    "optim.init.last=0.03",
    "logger=csv",
)
MakeCheckpoint = Callable[..., Path]


def write_checkpoint(path: Path, *overrides: str) -> Path:
    """What hmlpe-train writes, after no step; statistics and biases as training would leave them: not 0 and 1."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = TrainSettings.from_config(compose("train", overrides=[*TINY, *overrides]))
    tasks = build_tasks(settings)
    model = build_model(settings, tasks)
    generator = torch.Generator().manual_seed(5)
    model.network.mean_image.copy_(255 * torch.rand(model.network.mean_image.shape, generator=generator))
    for name, value in model.network.named_buffers():
        if name.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=generator))
        elif name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    pose = torch.rand(len(settings.skeleton["joints"]), 2, generator=generator) * settings.size_px
    with torch.no_grad():
        model.network.head("regression").output_layer.bias.copy_(tasks["regression"].constant_output(pose))
    described = {"version": 1, "config": settings.tree, "made_by": {"code": "c", "data": "d"}, "steps": 0}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": model.state_dict(), KEY: described}, path)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of both tasks."""
    return write_checkpoint(tmp_path_factory.mktemp("both") / "model.ckpt")


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """Of a configuration with these overrides."""
    return lambda *overrides: write_checkpoint(tmp_path / "made.ckpt", *overrides)

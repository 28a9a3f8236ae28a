"""Fakes for the page's parts, and a checkpoint of a network that was never trained for its whole."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from matplotlib.cbook import get_sample_data

from hmlpe.cli.app import CONFIGS
from hmlpe.training.build import build_model, build_tasks
from hmlpe.training.checkpoint import KEY
from hmlpe.training.settings import TrainSettings

TINY = [
    "network=slim",
    "network.head.hidden=[16,16]",
    "network.trunk.stages=[{maps: 2, kernel: 9, relu: true}, {maps: 2, kernel: 5, relu: true}]",
    "study=untrained",
]


@pytest.fixture(autouse=True)
def no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio, imported into the tests' own process, must not ask the network for anything either."""
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def grace_hopper() -> Path:
    """A photo of one person that matplotlib ships."""
    return Path(get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As hmlpe-train writes it, of a small network of 0 steps."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = TrainSettings.from_config(compose("train", overrides=TINY))
    model = build_model(settings, build_tasks(settings), made_by={"code": "none"})
    content = {"state_dict": model.state_dict(), KEY: {"version": 1, "config": model.config, "made_by": model.made_by}}
    path = tmp_path_factory.mktemp("untrained") / "model.ckpt"
    torch.save(content, path)
    return path

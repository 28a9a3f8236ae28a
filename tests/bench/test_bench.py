"""The benchmark: what it measures is measured right, and the whole program runs."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir

from hmlpe.bench.evaluation import bench_evaluation
from hmlpe.bench.training import flops_per_image, peak_flops
from hmlpe.data.dataset import random_batch
from hmlpe.training.build import build_model, build_tasks
from hmlpe.training.callbacks import TrainingSpeed
from hmlpe.training.settings import TrainSettings

from ..programs import finish, of_packs

CONF = Path(__file__).parents[2] / "conf"
SET = ["data.source.train=60", "data.source.test=10"]


def test_the_work_of_a_step_is_that_of_its_layers() -> None:
    """Of the faithful net, by hand: the first layer's input needs no gradient."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = TrainSettings.from_config(compose("train", ["network=faithful"]))
    model = build_model(settings, build_tasks(settings))
    conv1, conv2, conv3 = 104**2 * 32 * 3 * 81, 48**2 * 16 * 32 * 25, 20**2 * 16 * 16 * 25
    heads = sum(1600 * 1024 + 1024 * 2048 + 2048 * outputs for outputs in (16, 448))
    found = flops_per_image(model, random_batch(2, 8, 0, 112))
    assert found == 2 * (2 * conv1 + 3 * (conv2 + conv3 + heads))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_peak_is_that_of_matrix_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmlpe.bench.training.SIDE", {"cpu": 64})
    clock = iter([0.0, 4.0, 4.0, 6.0, 6.0, 16.0])
    monkeypatch.setattr("hmlpe.bench.training.PRODUCTS", 3)
    monkeypatch.setattr("hmlpe.bench.training.time.perf_counter", lambda: next(clock))
    assert peak_flops(torch.float32, torch.device("cpu")) == 2 * 64**3 / 2.0


@pytest.mark.parametrize(("epochs", "expected"), [(0, None), (1, 12 / 100), (3, (12 / 4 + 12 / 12) / 2)])
def test_the_first_epoch_warms_up(epochs: int, expected: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation and checkpoints, between the end of an epoch and the start of the next, take no part."""
    clock = iter([0.0, 100.0, 1000.0, 1004.0, 2000.0, 2012.0])
    monkeypatch.setattr("hmlpe.training.callbacks.time.perf_counter", lambda: next(clock))
    speed, own = TrainingSpeed(), (Mock(spec=L.Trainer, world_size=2), Mock(spec=L.LightningModule))
    speed.on_validation_start(*own)  # of an evaluation: no epoch has begun
    for _ in range(epochs):
        speed.on_train_epoch_start(*own)
        for _ in range(2):
            speed.on_train_batch_end(*own, None, {"image": torch.zeros(3, 1)}, 0)
        speed.on_validation_start(*own)
    assert speed.images_per_second == expected


@pytest.mark.slow  # an export of the faithful network; four processes
def test_the_program_measures_all_and_writes_it(tmp_path: Path) -> None:
    words = [*SET, "network=slim", "optim.batch_size=16", "trainer.threads=1", f"paths.data={tmp_path}/data"]
    finish("prepare", *of_packs(*words))
    own = [
        "bench.rounds=1",
        "bench.steps=2",
        "bench.epochs=2",
        "bench.sweep.jobs=0",
        f"bench.out={tmp_path}/bench.json",
    ]
    printed = finish("bench", *words, *own)
    found = json.loads((tmp_path / "bench.json").read_text())
    rates = found["rates"]
    assert list(rates) == [
        "bare loop", "hmlpe-train", "plain template", "loader, augment=paper", "loader, augment=strong",
    ]  # fmt: skip
    assert all(rate["images_per_second"] > 0 for rate in rates.values())
    assert all(0 < rates[name]["of_peak"] < 1 for name in ("bare loop", "hmlpe-train", "plain template"))
    assert rates["hmlpe-train"]["ratio"] == pytest.approx(
        rates["hmlpe-train"]["images_per_second"] / rates["bare loop"]["images_per_second"]
    )
    assert all(name in printed for name in rates) and "hmlpe-evaluate" in printed


@pytest.mark.slow  # an export of the faithful network
def test_evaluation_is_timed_with_an_untrained_network(tmp_path: Path) -> None:
    """The faithful one, whose untrained logits are too large for an export that is compared to 1e-5."""
    settings = [*SET, f"paths.data={tmp_path}/data", "optim.batch_size=4", "trainer.threads=1"]
    finish("prepare", *of_packs(*settings))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        found = bench_evaluation(TrainSettings.from_config(compose("bench", settings)), 1)
    assert found.people == 10
    assert min(found.bare, found.evaluate, found.ratio, found.seconds, *found.crop_latency) > 0
    assert found.evaluate == pytest.approx(found.people / found.seconds)

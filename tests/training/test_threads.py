"""What a run is known by: on the CPU its threads, said or not, are in it; and a number is the same in all spellings."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir

import hmlpe.training.build as build
import hmlpe.training.devices as devices
from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.training.build import config_digest
from hmlpe.training.devices import RANK_VARIABLES, threads_per_process
from hmlpe.training.settings import TrainSettings


def composed(*overrides: str) -> TrainSettings:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return TrainSettings.from_config(compose("train", ["trainer.accelerator=cpu", *overrides]))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Of eight cores, all of which torch takes."""
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "core_count", lambda: 8)
    monkeypatch.setattr(devices, "_default_threads", lambda: 8)
    return monkeypatch


def test_all_cores_are_a_number(machine: pytest.MonkeyPatch) -> None:
    """Not the same on a machine of four."""
    silent, said = config_digest(composed()), config_digest(composed("trainer.threads=8"))
    assert silent == said != config_digest(composed("trainer.threads=4"))
    machine.setattr(devices, "_default_threads", lambda: 4)  # physical ones, or as OMP_NUM_THREADS says
    assert config_digest(composed()) == config_digest(composed("trainer.threads=4")) != silent
    assert config_digest(composed("trainer.threads=8")) == said


def test_what_a_container_grants_counts(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(devices, "core_count", lambda: 2)
    assert threads_per_process(composed().trainer) == 2
    assert threads_per_process(composed("trainer.threads=3").trainer) == 3


def test_processes_of_a_run_share_the_cores_however_they_start(machine: pytest.MonkeyPatch) -> None:
    two = composed("trainer.devices=2")
    digest = config_digest(two)
    assert threads_per_process(two.trainer) == 4
    for name, value in zip(RANK_VARIABLES, ("1", "1", "2", "2", "a", "1"), strict=True):
        machine.setenv(name, value)
    machine.setattr(devices, "_default_threads", lambda: 1)  # as torchrun says
    assert threads_per_process(two.trainer) == 4 and config_digest(two) == digest


def test_on_a_gpu_they_do_not_count(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(build, "gpu_count", lambda accelerator: 1)
    assert config_digest(composed()) == config_digest(composed("trainer.threads=4"))


def test_one_run_of_a_process_leaves_the_next_its_own() -> None:
    before = torch.get_num_threads()
    alone = threads_per_process(composed().trainer)
    try:
        torch.set_num_threads(threads_per_process(composed(f"trainer.threads={alone + 1}").trainer))
        assert threads_per_process(composed().trainer) == alone
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["row.weights.detection=1"], ["row.weights.detection=1.0"]),
        (["row=regression_only"], ["row.weights.detection=0.0"]),
        (["row=regression_only"], ["row.weights.detection=-0.0"]),
        (["optim.groups.conv_decay=0"], ["optim.groups.conv_decay=0.0"]),
    ],
)
def test_a_number_in_two_spellings_is_one_run(one: list[str], other: list[str]) -> None:
    """Of one name, by its weights: a finished run is not called one of other settings."""
    assert composed(*one).row.name == composed(*other).row.name
    assert config_digest(composed(*one)) == config_digest(composed(*other))


def test_other_values_are_other_runs() -> None:
    weights = [f"row.weights.detection={value}" for value in ("0.3", "0.30000000000000004", "1", "true", "'1'")]
    assert len({config_digest(composed(word)) for word in weights}) == len(weights)


@pytest.mark.parametrize(
    "word",
    [
        "data.validation.fraction=a",
        "data.validation.fraction=null",
        "epochs=a",
        "optim.batch_size=null",
        "data.subset=a",
    ],
)
def test_what_is_no_number_is_said_in_words(word: str) -> None:
    with pytest.raises(UserError, match=rf"^{word.partition('=')[0]}: must be a "):
        composed(word)

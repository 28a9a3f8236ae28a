"""Slots: how many, and what each shows to its job."""

import pytest

import hmlpe.sweep.devices as devices
from hmlpe.errors import UserError
from hmlpe.sweep.devices import Slot, cpu_slots, gpu_slots, visible_gpus


def shown(slots: list[Slot]) -> list[str]:
    return [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots]


def test_the_cpu_is_shared_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "core_count", lambda: 8)
    assert [len(cpu_slots("auto", *asked)) for asked in ((1, 1), (3, 1), (2, 2), (16, 1), (None, 1))] == [8, 2, 2, 1, 1]
    assert cpu_slots(3, 1, 1) == [Slot("cpu")] * 3
    assert len(cpu_slots(1, None, 1)) == 1
    with pytest.raises(UserError, match=r"n_jobs: 2 runs at once would each take all cores; .* trainer.threads=1"):
        cpu_slots(2, None, 1)


def test_gpus_are_each_ones_own() -> None:
    assert shown(gpu_slots("auto", "auto", 1, ["0", "1", "2"])) == ["0", "1", "2"]
    assert shown(gpu_slots("auto", "auto", 2, ["0", "1", "2"])) == ["0,1"]
    assert shown(gpu_slots("auto", [2, 0], 1, ["0", "1", "2"])) == ["2", "0"]
    assert shown(gpu_slots(1, "auto", 1, ["0", "1"])) == ["0"]
    assert shown(gpu_slots(3, "auto", 1, ["0", "1"])) == ["0", "1", "0"]  # asked for
    assert gpu_slots("auto", "auto", 2, ["a", "b"])[0].name == "gpu a+b"


def test_gpus_go_by_the_names_that_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5")
    visible = visible_gpus(2)
    assert visible == ["3", "GPU-5"]
    assert shown(gpu_slots("auto", [1], 1, visible)) == ["GPU-5"]  # the second of those
    assert shown(gpu_slots("auto", ["GPU-5", "3"], 1, visible)) == ["GPU-5", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b")
    assert visible_gpus(1) == ["MIG-a", "MIG-b"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_gpus(2) == ["0", "1"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("auto", [4], 1), r"devices: \[4\]: there are 0, 1; name each only once"),
        (("auto", [0, 0], 1), "name each only once"),
        (("auto", "01", 1), "must be auto or a list of GPUs"),
        (("auto", [], 1), "must be auto or a list of GPUs"),
        (("auto", "auto", 3), r"trainer.devices: a run takes 3 GPUs, but the pool has 2 \(0, 1\)"),
        ((0, "auto", 1), "n_jobs: must be auto or a whole number of at least 1, got 0"),
        ((True, "auto", 1), "got True"),
        (("two", "auto", 1), "got 'two'"),
    ],
)
def test_pools_that_cannot_be(asked: tuple[object, object, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        gpu_slots(*asked, ["0", "1"])

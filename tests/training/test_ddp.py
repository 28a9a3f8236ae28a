"""Two processes against one: the same people, gradients, weights, errors and metrics. Nets without dropout, in fp32."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from ..programs import Started, finish, of_packs

TINY = [
    "network=slim",
    "network.head.hidden=[16,16]",
    "network.head.keep=1.0",
    "network.trunk.stages=[{maps: 2, kernel: 9, relu: true}, {maps: 2, kernel: 5, relu: true}]",
    "optim=modern",
    "optim.optimizer._target_=torch.optim.SGD",  # AdamW makes a step of any rounding error
    "+optim.optimizer.momentum=0.9",
    "optim.batch_size=16",
    "trainer.precision=32-true",
    "trainer.threads=1",
    "data.source.train=60",  # 54 train and 6 validate
    "data.source.test=13",
    "logger=csv",
]
ROWS = ("regression_only", "det_0.1", "detection_only")
PROGRAM = Path(__file__).with_name("ddp_ranks.py")


def torchrun() -> list[dict[str, str]]:
    """What it tells each of two processes of one machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    meeting |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    return [{**meeting, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]


def watched(folder: Path, accelerator: str) -> dict[str, dict[str, Any]]:
    """What one process and each of two saw, by "<rank> of <processes>"."""
    words = [*TINY, f"paths.data={folder / 'data'}", f"paths.outputs={folder / 'outputs'}"]
    finish("prepare", *of_packs(*words), "prepare.sheet=0")
    asked = ["-c", PROGRAM.read_text(), str(folder), *words, f"trainer.accelerator={accelerator}"]
    started = [Started(*asked, environment=os.environ | place) for place in ({}, *torchrun())]
    for process in started:
        done = process.end()
        assert done.returncode == 0, done.stderr[-3000:]
    return {path.stem.replace("_", " "): torch.load(path, weights_only=False) for path in folder.glob("*.pt")}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return watched(tmp_path_factory.mktemp("ddp"), "cpu")


def close(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], tolerance: float, least: float = 1e-3) -> None:
    """Equal but for rounding, as a part of the tensor's largest value, or of `least` of that of all tensors."""
    assert one.keys() == two.keys()
    largest = max(float(value.abs().max()) for value in one.values())
    for name, value in one.items():
        scale = max(float(value.abs().max()), least * largest)
        assert float((value - two[name]).abs().max()) <= tolerance * scale, name


@pytest.mark.parametrize("row", [*ROWS, "uncertainty", "pcgrad"])
def test_gradients_and_weights_are_those_of_one_process(seen: dict[str, dict[str, Any]], row: str) -> None:
    one, first, second = (seen[name][row] for name in ("0 of 1", "0 of 2", "1 of 2"))
    names = set(one["gradients"])
    assert any("norm1" in name for name in names)
    for task in ("regression", "detection"):  # a head without weight has no gradient
        trained = row in ("det_0.1", f"{task}_only", "uncertainty", "pcgrad")
        assert any(f"heads.{task}" in name for name in names) == trained
    close(one["gradients"], first["gradients"], 2e-5, least=1.0)  # torch's own fp32 variance is 1e-5 off
    close(one["weights"], first["weights"], 2e-5)
    for part in ("gradients", "weights"):
        assert all(torch.equal(value, second[part][name]) for name, value in first[part].items())
    assert int(first["weights"]["network.trunk.norm1.num_batches_tracked"]) == len(first["images"]) == 3


def test_the_balance_that_learns_is_that_of_one_process(seen: dict[str, dict[str, Any]]) -> None:
    one, first = (seen[name]["uncertainty"] for name in ("0 of 1", "0 of 2"))
    name = "balance.log_variances"
    assert name in one["gradients"] and bool((one["weights"][name] != 0).all())
    torch.testing.assert_close(one["weights"][name], first["weights"][name], rtol=1e-5, atol=0)
    for a, b in zip(one["logged"], first["logged"], strict=True):
        assert {"train/weight/regression", "train/weight/detection"} < set(a) and a == pytest.approx(b, rel=1e-5)


def test_gradients_without_normalisation_are_equal_to_the_rounding(seen: dict[str, dict[str, Any]]) -> None:
    one, first = (seen[name]["without"] for name in ("0 of 1", "0 of 2"))
    assert not any("norm" in name for name in one["gradients"])
    close(one["gradients"], first["gradients"], 1e-5)


def test_the_global_batch_is_normalised_as_torch_does_it(seen: dict[str, dict[str, Any]]) -> None:
    """In fp64: outputs, all gradients, running statistics (unbiased variance), and the names in the state."""
    one, first, second = (seen[name]["normalised"] for name in ("0 of 1", "0 of 2", "1 of 2"))
    assert one.keys() == first.keys() and {"running_mean", "running_var", "num_batches_tracked", "d_weight"} <= set(one)
    for name, value in one.items():
        together = torch.cat([first[name], second[name]]) if name in ("x", "y") else first[name]
        torch.testing.assert_close(together, value, rtol=1e-10, atol=1e-12, msg=name)


def test_bf16_goes_through_the_normalisation(seen: dict[str, dict[str, Any]]) -> None:
    one, first = (seen[name]["bf16"] for name in ("0 of 1", "0 of 2"))
    assert not torch.equal(one["gradients"]["network.trunk.norm1.weight"],
                           seen["0 of 1"]["det_0.1"]["gradients"]["network.trunk.norm1.weight"])  # fmt: skip
    close(one["gradients"], first["gradients"], 0.1)


def test_augmented_images_are_those_of_one_process_and_differ_between_ranks(seen: dict[str, dict[str, Any]]) -> None:
    one, first, second = (seen[name]["det_0.1"]["images"] for name in ("0 of 1", "0 of 2", "1 of 2"))
    for whole, left, right in zip(one, first, second, strict=True):
        assert torch.equal(whole, torch.cat([left, right])) and not torch.equal(left, right)


@pytest.mark.parametrize("order", ["served", "balanced"])
def test_ranks_share_each_batch_and_each_split(seen: dict[str, dict[str, Any]], order: str) -> None:
    """Training: of every batch its half each. Evaluation: everyone once, and no padding of the odd sets."""
    one, first, second = (seen[name][order] for name in ("0 of 1", "0 of 2", "1 of 2"))
    for whole, left, right in zip(one["training"], first["training"], second["training"], strict=True):
        batches = [[*a, *b] for a, b in zip(left, right, strict=True)]
        assert batches == whole[: len(batches)] and len(batches) == 54 // 16
    sizes = {}
    for split in ("train", "val", "test"):
        assert sorted([*first[split], *second[split]]) == one[split]
        sizes[split] = (len(one[split]), len(first[split]), len(second[split]))
    assert sizes == {"train": (54, 27, 27), "val": (6, 3, 3), "test": (13, 7, 6)}


def test_dropout_differs_by_rank_and_the_first_is_one_process(seen: dict[str, dict[str, Any]]) -> None:
    one, first, second = (seen[name]["dropout"] for name in ("0 of 1", "0 of 2", "1 of 2"))
    assert all(torch.equal(a, b) for a, b in zip(one, first, strict=True))
    drawn = [tuple(values.tolist()) for values in [*first, *second]]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("row", ROWS)
def test_errors_and_metrics_are_those_of_one_process(seen: dict[str, dict[str, Any]], row: str) -> None:
    """The same weights, all splits (13 test people: one rank has a person more), every metric, the mean pose's too."""
    one, first, second = (seen[name]["evaluated"][row] for name in ("0 of 1", "0 of 2", "1 of 2"))
    assert first == second and set(one) == {"train", "val", "test", "mean_pose"}
    expected = {"regression_only": "pdj_modec_wrist_auc", "det_0.1": "window_ap", "detection_only": "window_ap"}
    assert expected[row] in one["test"] and "spread" in one["mean_pose"]
    for split, values in one.items():
        assert values == pytest.approx(first[split], rel=1e-6, abs=1e-6, nan_ok=True), split


def test_what_is_logged_while_training_is_of_the_global_batch(seen: dict[str, dict[str, Any]]) -> None:
    one, first, second = (seen[name]["det_0.1"] for name in ("0 of 1", "0 of 2", "1 of 2"))
    assert set(one["logged"][0]) == {f"train/{name}" for name in (
        "total", "regression", "regression_weighted", "detection", "detection_weighted")}  # fmt: skip
    for a, b, c in zip(one["logged"], first["logged"], second["logged"], strict=True):
        assert a == pytest.approx(b, rel=2e-6) and b == c
    assert one["validation"] == pytest.approx(first["validation"], rel=2e-6, abs=2e-6, nan_ok=True)
    assert first["validation"] == second["validation"]  # so that all ranks choose the same checkpoint


def test_looking_at_gradients_changes_no_bit_and_sees_the_global_batch(
    seen: dict[str, dict[str, Any]],
) -> None:
    """Of steps 0 and 2 of three. The weighted sum of the unweighted gradients is the one that is trained with."""
    for name in ("0 of 1", "0 of 2", "1 of 2"):
        plain, looked_at = seen[name]["det_0.1"]["weights"], seen[name]["diagnosed"]["weights"]
        assert all(torch.equal(value, looked_at[key]) for key, value in plain.items())
    one, first = (seen[name]["diagnosed"] for name in ("0 of 1", "0 of 2"))
    assert [step for step, _ in one["diagnosed"]] == [step for step, _ in first["diagnosed"]] == [0, 2]
    for (_, a), (_, b) in zip(one["diagnosed"], first["diagnosed"], strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    found = {key.removeprefix("train/gradient/"): value for key, value in one["diagnosed"][0][1].items()}
    trunk = torch.cat([value.flatten() for key, value in one["gradients"].items() if "trunk" in key])
    a, b, cosine = found["norm_regression"], 0.1 * found["norm_detection"], found["cosine"]
    assert float(trunk.norm()) == pytest.approx((a * a + b * b + 2 * a * b * cosine) ** 0.5, rel=1e-4)


def test_the_first_decides_for_all(seen: dict[str, dict[str, Any]]) -> None:
    for name, mean in (("0 of 1", 0.0), ("0 of 2", 0.5), ("1 of 2", 0.5)):
        assert seen[name]["decided"] == {"from_first": 0, "raised": "of rank 0", "mean": mean}


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_give_what_one_gives(tmp_path: Path) -> None:
    found = watched(tmp_path, "gpu")
    for row in ROWS:
        one, first = (found[name] for name in ("0 of 1", "0 of 2"))
        close(one[row]["gradients"], first[row]["gradients"], 1e-4)
        for split, values in one["evaluated"][row].items():
            assert values == pytest.approx(first["evaluated"][row][split], rel=1e-5, abs=1e-5, nan_ok=True), split

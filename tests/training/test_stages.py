"""The paper's two stages, as a user types them, on two tiny sets in one pack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from hmlpe.cli.app import CONFIGS
from hmlpe.errors import UserError
from hmlpe.settings import build_component
from hmlpe.skeleton import Skeleton
from hmlpe.training.build import build_data, build_model, build_tasks
from hmlpe.training.estimate import estimate_steps
from hmlpe.training.fit import average_over_sets
from hmlpe.training.run import check_init_from, describe_protocol
from hmlpe.training.settings import TrainSettings
from hmlpe.training.stages import stage_settings
from hmlpe.training.weights import HEADS, load_weights

from ..data.conftest import person, write_flic
from ..data.stick_files import man
from ..programs import finish, run

TINY = [
    "network=slim",
    "network.head.hidden=[16,16]",
    "network.trunk.stages=[{maps: 2, kernel: 9, relu: true}]",
    "optim.batch_size=8",
    "trainer.threads=1",
    "epochs=1",
    "logger=csv",
]
BUFFY = ["data.known.buffy.source.detections=null", "data.known.buffy.boxes.test=window", "data.near_duplicates=null"]
EPISODES = {2: 3, 3: 12, 4: 4, 5: 2, 6: 2}  # frames: 16 for training, 7 for testing


def write_buffy(root: Path) -> None:
    rng = np.random.default_rng(0)
    (root / "data").mkdir(parents=True)
    for episode, frames in EPISODES.items():
        images = root / "images" / f"buffy_s5e{episode}_original"
        images.mkdir(parents=True)
        lines = []
        for number in range(1, frames + 1):
            noise = rng.integers(0, 256, (90, 140, 3), dtype=np.uint8)
            frame = 100 * number  # every one a shot of its own
            Image.fromarray(noise).save(images / f"{frame:06d}.jpg")
            lines += [str(frame), *man(number)]
        (root / "data" / f"buffy_s5e{episode}_sticks.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a prepared pack of two of the six sets."""
    folder = tmp_path_factory.mktemp("stages")
    write_flic(folder / "sets" / "flic", [person(f"{i}.png", "test" if i % 4 == 0 else "train") for i in range(24)])
    write_buffy(folder / "sets" / "buffy")
    printed = finish("prepare", "data=all", "data.root=sets", *BUFFY, folder=folder)
    assert "not in it: lsp, ethz, sa, waf" in printed
    return folder


@pytest.fixture(scope="module")
def chain(folder: Path) -> dict[str, dict[str, Any]]:
    """The results of the chain, by study."""
    printed = finish("train", "experiment=paper_pipeline", "seed=3", *BUFFY, *TINY, folder=folder)
    assert [f"stage {n} of 3" in printed for n in (1, 2, 3)] == [True] * 3
    names = {"all": "pretrain_s3", "buffy": "pretrained_s3", "flic": "pretrained_s3"}
    root = folder / "outputs" / "pretraining"
    return {study: json.loads((root / study / name / "result.json").read_text()) for study, name in names.items()}


def test_the_chain_trains_on_all_then_goes_on_with_each(chain: dict[str, dict[str, Any]]) -> None:
    assert all(result["status"] == "finished" for result in chain.values())
    people = {study: result["people"] for study, result in chain.items()}
    assert people["all"]["train"] + people["all"]["val"] == 16 + 18
    assert people["buffy"]["train"] + people["buffy"]["val"] == 16 and people["buffy"]["test"] == 7
    assert people["flic"]["train"] + people["flic"]["val"] == 18 and people["flic"]["test"] == 6
    assert people["all"]["val"] == people["buffy"]["val"] + people["flic"]["val"]  # one split for all stages
    assert chain["all"]["start"] == "scratch" and chain["all"]["steps_before"] == 0
    for study in ("buffy", "flic"):
        assert chain[study]["start"] == "pretraining/all/pretrain"
        assert chain[study]["steps_before"] == chain["all"]["steps"] > 0
        assert chain[study]["varies"] == ["init_from", "heads", "epochs"]
        assert "window" in chain["buffy"]["protocol"] and chain[study]["protocol"].startswith(f"{study}: ")


def test_test_people_of_several_sets_stand_apart_and_averaged(chain: dict[str, dict[str, Any]]) -> None:
    for numbers in (chain["all"]["metrics"], chain["all"]["mean_pose"]):
        buffy, flic, mean = (numbers[f"test_{name}"] for name in ("buffy", "flic", "average"))
        for key in ("regression_error", "pcp_strict_lower_arm"):
            assert mean[key] == pytest.approx((buffy[key] + flic[key]) / 2)
        # Buffy has no hips, so there is no PDJ of it, nor of the average.
        assert buffy["pdj_modec_wrist@0.20"] is None and flic["pdj_modec_wrist@0.20"] is not None
        assert "pdj_modec_wrist@0.20" not in mean
        pooled = (7 * buffy["regression_error"] + 6 * flic["regression_error"]) / 13
        assert numbers["test"]["regression_error"] == pytest.approx(pooled, rel=1e-4)
    assert set(chain["buffy"]["metrics"]) == {"train", "val", "test"}


def test_from_scratch_stands_beside_pretrained_in_one_table(folder: Path, chain: dict[str, dict[str, Any]]) -> None:
    finish(
        "train",
        "experiment=scratch_buffy",
        "seed=3",
        *BUFFY,
        *TINY,
        "epochs=2",
        folder=folder,
    )
    text = finish("report", "study=pretraining/buffy", folder=folder)
    study = folder / "outputs" / "pretraining" / "buffy"
    table = (study / "table.csv").read_text().splitlines()
    header = table[0].split(",")
    rows = {line.split(",")[0]: dict(zip(header, line.split(","), strict=True)) for line in table[1:]}
    assert rows["pretrained"]["start"] == "pretraining/all/pretrain" and rows["scratch"]["start"] == "scratch"
    per_epoch = chain["buffy"]["steps"]
    assert int(rows["pretrained"]["steps"]) == chain["all"]["steps"] + per_epoch
    assert int(rows["scratch"]["steps"]) == 2 * per_epoch
    assert "1 to 2 epochs" in text and (study / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (["init_from=x.ckpt"], "init_from: each stage has its own"),
        (["stages=[paper_pipeline]"], "is a chain of stages itself"),
        (["stages=[pretraining]"], "pretraining"),
    ],
)
def test_a_chain_that_cannot_run_is_one_line(folder: Path, bad: list[str], words: str) -> None:
    done = run("train", "experiment=paper_pipeline", *bad, folder=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert words in done.stderr.strip().splitlines()[-1]


def test_stages_take_the_overrides_of_the_chain() -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found = stage_settings("finetune_buffy", ["experiment=paper_pipeline", "seed=7", "+data.note=x", "stages=[a]"])
    assert found.seed == 7 and found.tree["data"]["note"] == "x" and found.study == "pretraining/buffy"
    assert found.folder == "outputs/pretraining/buffy/pretrained_s7"
    assert found.init_from == "outputs/pretraining/all/pretrain_s7/checkpoints/model.ckpt"


@pytest.mark.parametrize("heads", ["keep", "renew"])
def test_heads_are_kept_or_renewed(tmp_path: Path, heads: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        one, other = (TrainSettings.from_config(compose("train", [*TINY, f"seed={seed}"])) for seed in (1, 2))
    old, new = (build_model(config, build_tasks(config)) for config in (one, other))
    skeleton = build_component("skeleton", one.skeleton)
    path = tmp_path / "old.ckpt"
    described = {"config": {"skeleton": skeleton.as_dict()}, "steps": 5}
    torch.save({"state_dict": old.state_dict(), "hmlpe": described}, path)
    before = {key: value.clone() for key, value in new.state_dict().items()}
    assert load_weights(new, path, skeleton, heads)["steps"] == 5
    weights = [key for key in before if not torch.equal(before[key], old.state_dict()[key])]  # what differed
    assert any(key.startswith(HEADS) for key in weights) and any(not key.startswith(HEADS) for key in weights)
    for key in weights:
        source = before if heads == "renew" and key.startswith(HEADS) else old.state_dict()
        assert torch.equal(new.state_dict()[key], source[key]), key

    mice = Skeleton(["nose", "tail"], {"back": ["nose", "tail"]})
    if heads == "keep":
        with pytest.raises(UserError, match="another skeleton"):
            load_weights(new, path, mice, heads)
    else:
        load_weights(new, path, mice, heads)  # the trunk knows no joints


def test_the_average_counts_each_set_once_and_drops_what_one_lacks() -> None:
    assert average_over_sets([{"a": 1.0, "b": 2.0, "c": None}, {"a": 2.0, "c": 1.0, "d": 4.0}]) == {"a": 1.5}


def test_a_start_that_is_not_finished_is_refused(folder: Path, chain: dict[str, dict[str, Any]]) -> None:
    result = folder / "outputs" / "pretraining" / "all" / "pretrain_s3" / "result.json"
    whole = result.read_text()
    arguments = ["experiment=finetune_buffy", "seed=3", *BUFFY, *TINY, "study=again"]
    try:
        result.write_text(whole.replace('"finished"', '"running"', 1))
        done = run("train", *arguments, folder=folder)
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            config = compose("train", [f"init_from={result.parent / 'checkpoints' / 'model.ckpt'}", "fit=false"])
        check_init_from(TrainSettings.from_config(config))  # to evaluate it is allowed
    finally:
        result.write_text(whole)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "pretrain_s3/checkpoints/model.ckpt: its run is not finished" in done.stderr.strip().splitlines()[-1]


def test_a_chain_says_before_it_starts_what_its_last_stage_lacks(folder: Path) -> None:
    done = run("train", "experiment=paper_pipeline", "seed=9", *BUFFY, *TINY, "optim.batch_size=17", folder=folder)
    assert done.returncode == 2 and "optim.batch_size" in done.stderr.strip().splitlines()[-1]
    assert not (folder / "outputs" / "pretraining" / "all" / "pretrain_s9").exists()


def test_the_protocol_is_one_for_all_rows_and_names_what_is_measured(folder: Path) -> None:
    common = ["data=all", "data.near_duplicates=null", f"paths.data={folder / 'data'}", *BUFFY, *TINY]

    def said(*overrides: str) -> str:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            settings = TrainSettings.from_config(compose("train", [*common, *overrides]))
        return describe_protocol(settings, build_data(settings))

    rows = {said(f"row={row}") for row in ("regression_only", "det_0.1", "detection_only")}
    assert rows == {"buffy+flic: pdj_modec, pcp_strict; sides=image, test boxes=detection+window"}
    assert said("metrics=any").startswith("buffy+flic: no published protocol; ")


@pytest.mark.parametrize(
    ("sets", "people"), [("null", 34), ("flic", 18), ("[flic]", 18), ("[buffy,ethz]", 16), ("flicker", 0)]
)
def test_the_estimate_counts_the_people_of_the_chosen_sets(folder: Path, sets: str, people: int) -> None:
    words = ["data=all", f"paths.data={folder / 'data'}", f"data.train_sets={sets}", *TINY, "epochs=4"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = TrainSettings.from_config(compose("train", words))
    assert estimate_steps(settings) == round(0.9 * people) * 4 / 8

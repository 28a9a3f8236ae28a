"""What the tag faults-1 has left still loads: its runs, pack and checkpoint, made by it with the words below.

hmlpe-prepare data.source.train=4 data.source.test=2 prepare.sheet=0
hmlpe-train network=slim network.head.hidden=[8,8] network.trunk.pool=[4,4] optim.batch_size=2 epochs=1 study=tag
    'network.trunk.stages=[{maps:2,kernel:9,relu:true},{maps:2,kernel:5,relu:true}]' trainer.threads=1 logger=csv
    data.source.train=4 data.source.test=2 data.validation.fraction=0.25 trainer.precision=32-true
    trainer.accelerator=cpu seed=1                          with row=regression_only and with row=det_1
hmlpe-report study=tag
"""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hmlpe.data.pack import open_pack
from hmlpe.errors import UserError
from hmlpe.report.runs import collect_runs
from hmlpe.runs.result import OLDEST_SCHEMA, read_run
from hmlpe.skeleton import Skeleton

from ..programs import finish, run


@pytest.fixture(scope="module")
def tag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all was called."""
    folder = tmp_path_factory.mktemp("tag")
    with tarfile.open(Path(__file__).with_name("tag_faults_1.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


def numbers(cell: str) -> tuple[list[str], list[float]]:
    """Seeds and numbers of `1:0.5 2:0.7`, or the number of `0.5`; of another text nothing."""
    words = [word.rpartition(":") for word in cell.split()]
    try:
        return [seed for seed, _, _ in words], [float(number) for _, _, number in words]
    except ValueError:
        return [cell], []


def test_its_report_is_the_same(tag: Path) -> None:
    study = tag / "outputs" / "tag"
    before = {name: (study / name).read_text() for name in ("table.csv", "paired.csv")}
    assert read_run(study / "det_1_s1" / "result.json").result.schema_ == OLDEST_SCHEMA
    finish("report", "study=tag", folder=tag)
    assert (study / "table.csv").read_text() == before["table.csv"]
    lines = [
        list(csv.DictReader(text.splitlines())) for text in (before["paired.csv"], (study / "paired.csv").read_text())
    ]
    assert len(lines[0]) == len(lines[1]) > 10
    for old, new in zip(*lines, strict=True):  # it summed distances in float32
        for key, cell in old.items():
            of_results = key in ("difference", "each_seed")  # then; now of the errors, like the intervals
            (seeds, ours), (seeds_before, theirs) = numbers(new[key]), numbers(cell)
            near = pytest.approx(theirs, rel=1e-6, abs=2e-6 if of_results else 1e-7)
            assert new[key] == cell or (seeds == seeds_before and ours == near), key
    (one,) = (found for found in collect_runs(study) if found.row == "det_1")
    assert one.infos["pdj_modec_wrist@0.20"].task == "regression" and one.infos["window_ap"].better == "high"
    assert one.result.sides == "image" and one.result.sets == ["embedded"]


def test_its_pack_and_checkpoint_are_read(tag: Path) -> None:
    config = json.loads((tag / "data" / "embedded" / "manifest.json").read_text())
    skeleton = Skeleton(**{key: config["skeleton"][key] for key in ("joints", "parts", "mirror")})
    pack = open_pack(tag / "data" / "embedded", skeleton)
    assert len(pack.rows_of_split("train")) == 4
    with np.load(tag / "outputs" / "tag" / "det_1_s1" / "people" / "best.npz") as people:
        first, predicted = people["index"][0], people["predicted_crop_px"][0]
    Image.fromarray(np.asarray(pack.test_crops[first])).save(tag / "a.png")
    model = "checkpoint=outputs/tag/det_1_s1/checkpoints/model.ckpt"
    finish("predict", model, "source=a.png", "detector=whole", "out=found", "draw=false", folder=tag)
    lines = csv.DictReader((tag / "found" / "poses.csv").read_text().splitlines())
    found = np.array([(float(line["x"]), float(line["y"])) for line in lines])
    assert found == pytest.approx(predicted, abs=0.01), "the pose that it gave in training's evaluation"
    own = ["data.source.train=4", "data.source.test=2", "data.validation.fraction=0.25"]
    finish("evaluate", model, *own, "bootstrap.draws=20", folder=tag)
    assert len(list((tag / "outputs" / "evaluation" / "embedded").glob("*.json"))) == 2


@pytest.mark.slow  # inspects a study
def test_its_networks_are_looked_into(tag: Path) -> None:
    study, few = tag / "outputs" / "tag", ["draws=19", "progress=false", "persons=1"]
    said = finish("inspect", "study=tag", *few, folder=tag)
    assert "regression_only_s1: left out, its checkpoint is gone" in said and "1 of 2: det_1_s1" in said
    assert "no trend over the weight" in said
    rows = list(csv.DictReader((study / "inspected" / "rows.csv").read_text().splitlines()))
    assert [line["row"] for line in rows] == ["untrained"] * 2 + ["det_1"] * 2
    folder = study / "det_1_s1" / "inspected"
    record = json.loads((folder / "inspection.json").read_text())
    assert record["network"] == "tag/det_1_s1" and (record["train"], record["test"]) == (4, 2)
    assert [one["extent_px"] for one in record["layers"]] == [[9, 9], [28, 28]]
    for picture in record["pictures"]:
        with Image.open(folder / picture["file"]) as image:
            assert min(image.size) > 150
    assert {"people.png", "part_maps.png"} == {one["file"] for one in record["pictures"] if one["people"]}
    maps = list(csv.DictReader((folder / "maps.csv").read_text().splitlines()))
    assert [line["layer"] for line in maps] == ["trunk.conv1"] * 2 + ["trunk.conv2"] * 2
    assert all(abs(float(line["joint_error_growth_px"])) > 0 and line["costs_most_part"] for line in maps)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    finish("inspect", "checkpoint=outputs/tag/det_1_s1/checkpoints/model.ckpt", *few, folder=tag)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "again is the same, to the byte"
    page = (folder / "inspection.html").read_text()
    assert page.count("<img ") == len(record["pictures"]) and "http" not in page.replace("http-equiv", "")
    finish("report", "study=tag", folder=tag)
    report = (study / "report.html").read_text()
    (folder / "maps.csv").write_text("layer,map,joint\ntrunk.conv1,0,head\n")
    finish("report", "study=tag", folder=tag)
    assert "det_1_s1/inspected/maps.csv: cannot be read" in (study / "report.html").read_text() or (
        "maps.csv: has no joint_" in (study / "report.html").read_text()
    )
    assert 'id="inside"' in report and "Average patches of conv2" in report and "single people" not in report


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["layers=[conv7]"], "error: layers: there is no 'conv7'; there are trunk.conv1, trunk.pool1, "),
        (["layers=[fc1]"], "error: layers: fc1 matches heads.regression.fc1, heads.detection.fc1"),
        (["persons=3"], "error: persons: patches of 3 people requested; there are only 2 test people"),
        (["persons=[2]"], "error: persons: there is no test person 2; they are numbered from 0 to 1"),
        (["mosaic=9"], "error: mosaic: patches of 9 people requested; there are only 4 train people"),
        (["people=1"], "error: people: patches of 2 people requested; there are only 1 train people"),
        (
            ["study=tag"],
            "error: give either checkpoint=PATH (one network) or study=NAME (all finished runs of a study)",
        ),
        (["near=2"], "error: near: "),
        (["data=flic"], "error: data/flic: "),
    ],
)
def test_what_cannot_be_looked_into(tag: Path, words: list[str], said: str) -> None:
    given = [] if words[0].startswith("persons") else ["persons=1"]
    done = run("inspect", "checkpoint=outputs/tag/det_1_s1/checkpoints/model.ckpt", *given, *words, folder=tag)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and done.stderr.startswith(said), done.stderr


def test_what_is_older_is_refused_in_one_line(tag: Path) -> None:
    file = tag / "outputs" / "older" / "a_s1" / "result.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"schema": 1, "status": "finished", "row": "a", "seed": 1}))
    with pytest.raises(UserError, match="schema is 1, but this version reads 3; train it again"):
        collect_runs(file.parent.parent)
    done = run("report", "study=older", folder=tag)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1

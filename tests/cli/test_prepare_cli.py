"""hmlpe-prepare as a user meets it: what it prints, and its exit code."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from ..data.conftest import CONF, CROWD, person, picture, write_flic

# OmegaConf's DictConfig inherits from typing.MutableMapping
pytestmark = pytest.mark.filterwarnings("ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")


@dataclass
class Answer:
    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """Hydra points the root logger to a stream that lives as long as the test."""
    root = logging.getLogger()
    handlers, level, disabled = root.handlers[:], root.level, logging.root.manager.disable
    yield
    root.handlers[:], root.level = handlers, level
    logging.disable(disabled)
    GlobalHydra.instance().clear()


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_restored: None
) -> Call:
    """Runs hmlpe-prepare in an empty folder."""
    from hmlpe.cli.prepare import main  # here, where the mark's filter is on

    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; this puts it back

    def run(*overrides: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hmlpe-prepare", *overrides])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return run


def assert_refused(answer: Answer, *words: str) -> None:
    lines = answer.err.splitlines()
    assert answer.code == 2 and len(lines) == 1 and lines[0].startswith("error: "), answer
    assert "Traceback" not in answer.out + answer.err
    assert all(word in lines[0] for word in words), lines[0]
    assert list(Path().iterdir()) == []  # nothing half-written


def flic(tmp_path: Path, absent: tuple[str, ...] = ()) -> str:
    return f"data.root={write_flic(tmp_path / 'flic', CROWD, absent)}"


@pytest.mark.parametrize(
    ("override", "word"), [("data.colour=red", "data.colour"), ("data=mpii", "mpii"), ("colour", "colour")]
)
def test_an_unknown_override(call: Call, override: str, word: str) -> None:
    assert_refused(call(override), word)


def test_no_root(call: Call) -> None:
    assert_refused(call("data=flic"), "data.root")


def test_a_root_that_is_not_there(call: Call, tmp_path: Path) -> None:
    assert_refused(call("data=flic", f"data.root={tmp_path / 'nowhere'}"), "nowhere", "data.root")


def test_missing_images(call: Call, tmp_path: Path) -> None:
    answer = call("data=flic", flic(tmp_path, absent=("b.png", "c.jpg")))
    assert_refused(answer, "2 images", "2 train and 1 test", "b.png", "record 2", "data.allow_missing=true")


def test_an_unknown_box_rule(call: Call, tmp_path: Path) -> None:
    assert_refused(call("data=flic", flic(tmp_path), "data.boxes.train=torso"), "data.boxes.train", "torso")


def test_broken_input(call: Call, tmp_path: Path) -> None:
    root = flic(tmp_path)
    annotations, image = tmp_path / "flic" / "examples.mat", tmp_path / "flic" / "images" / "b.png"
    image.write_bytes(image.read_bytes()[:200])
    answer = call("data=flic", root)
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]  # besides the progress
    assert answer.code == 2 and len(errors) == 1 and str(image) in errors[0] and "Traceback" not in answer.err
    assert not list(tmp_path.rglob("manifest.json"))
    shutil.rmtree("data")
    annotations.write_bytes(annotations.read_bytes()[:5000])
    assert_refused(call("data=flic", root), str(annotations))


def test_a_camera_that_stands_still_is_refused_or_warned_of(call: Call, tmp_path: Path) -> None:
    """All images show the same: nobody would be left to train, and the remedy says whom it keeps."""
    still = [person(f"{row}.png", "train" if row % 4 else "test") for row in range(16)]
    root = write_flic(tmp_path / "still", still)
    for image in (root / "images").iterdir():
        Image.fromarray(picture("the same")).save(image)
    answer = call("data=flic", f"data.root={root}", "prepare.sheet=0")
    errors = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert answer.code == 2 and len(errors) == 1 and "Traceback" not in answer.err
    for part in ("none of 12 training people are left", "stand still", "data.near_duplicates=null keeps these 12"):
        assert part in errors[0]
    assert not [path for path in Path().rglob("*") if path.is_file()]  # nothing half-written
    for row in (1, 2):  # two of the training people are elsewhere
        Image.fromarray(picture(f"another {row}")).save(root / "images" / f"{row}.png")
    warned = call("data=flic", f"data.root={root}", "prepare.sheet=0")
    assert warned.code == 0 and "10 of 12 training people are near-duplicates of test images" in warned.out
    assert "data.near_duplicates=null keeps them" in warned.out
    kept = call("data=flic", f"data.root={root}", "prepare.sheet=0", "data.near_duplicates=null")
    assert kept.code == 0 and "12 train and 4 test people" in kept.out and "stand still" not in kept.out


def test_success_says_what_the_pack_holds(call: Call, tmp_path: Path) -> None:
    root = write_flic(tmp_path / "my data's FLIC", CROWD, ("f.jpg",))
    pack = tmp_path / "out put" / "flic"
    paths = [f'data.root="{root}"', f"paths.data='{pack.parent}'"]
    more = ["data.allow_missing=true", "data.crop_px=16", "prepare.sheet=1"]
    first, second = (call("data=flic", *paths, *more) for _ in range(2))
    counts = "4 train and 3 test people; left out: 1 train people (image is missing), 1 train people (in a test image)"
    look = f"look at some of them before you train: {pack}/sheet.png"
    assert (first.code, first.out) == (0, f"{pack} prepared: {counts}\n{look}\n")
    assert (second.code, second.out, second.err) == (0, f"{pack} is already prepared: {counts}\n{look}\n", "")
    assert "Traceback" not in first.err and list(Path().iterdir()) == []
    manifest = json.loads((pack / "manifest.json").read_text())
    assert manifest["boxes"]["flic"]["factors"] == [3.5, 1.75, 1.75]
    shared = yaml.safe_load((CONF / "data" / "shared" / "base.yaml").read_text(encoding="utf-8"))
    assert manifest["crop_px"] == 16 and manifest["near_duplicates"] == shared["near_duplicates"] is not None
    assert np.load(pack / "crops.npy").shape == (7, 16, 16, 3)
    assert np.load(pack / "test_crops.npy").shape == (7, 112, 112, 3) and manifest["size_px"] == 112
    with Image.open(pack / "sheet.png") as sheet:
        assert sheet.width > 100


# ---- several sets ----

DRAWN = ["+set@data.known.embedded=embedded", "data.known.embedded.source.train=2", "data.known.embedded.source.test=1"]
QUICK = ["data.crop_px=16", "prepare.sheet=0"]


def test_all_sets_that_are_there(call: Call, tmp_path: Path) -> None:
    write_flic(tmp_path / "sets" / "flic", CROWD)
    answer = call("data=all", f"data.root={tmp_path / 'sets'}", *DRAWN, *QUICK)
    leak = "left out: 1 train people (in a test image)"
    assert (answer.code, answer.out.splitlines()) == (0, [
        f"data/all prepared: 7 train and 4 test people; {leak}",
        f"  flic: 5 train and 3 test people; {leak}",
        "  embedded: 2 train and 1 test people",
        "  not in it: lsp, buffy, ethz, sa, waf",
    ])  # fmt: skip
    assert sorted(path.name for path in Path("data/all").iterdir()) == [
        "crops.npy",
        "manifest.json",
        "missed.npz",
        "people.npz",
        "test_crops.npy",
    ]
    columns = np.load("data/all/people.npz")
    assert columns["set"].tolist() == ["flic"] * 8 + ["embedded"] * 3


def test_a_chosen_set_that_is_not_there(call: Call, tmp_path: Path) -> None:
    write_flic(tmp_path / "sets" / "flic", CROWD)
    answer = call("data=all", f"data.root={tmp_path / 'sets'}", "data.sets=[flic,lsp]")
    assert_refused(answer, str(tmp_path / "sets" / "lsp"), "no such folder")


@pytest.mark.parametrize("override", ["data.root=2014", "data.sets=[flic,mpii]"])
def test_sets_that_cannot_be_found(call: Call, override: str) -> None:
    """Which message when: tests/data/test_collection.py."""
    assert_refused(call("data=all", override), override[:8], "flic")


# ---- --check ----


def test_check_reads_the_pack_alone(call: Call, tmp_path: Path) -> None:
    root, out = flic(tmp_path), f"paths.data={tmp_path / 'packs'}"
    pack = tmp_path / "packs" / "flic"
    assert call("data=flic", root, out, *QUICK).code == 0
    shutil.rmtree(tmp_path / "flic")
    whole = call("data=flic", out, "--check")
    counts = "5 train and 3 test people; left out: 1 train people (in a test image)"
    assert (whole.code, whole.out, whole.err) == (0, f"{pack} is intact: {counts}\n", "")
    (pack / "crops.npy").write_bytes((pack / "crops.npy").read_bytes()[:-1] + b"x")
    assert_refused(call("--check", "data=flic", out), str(pack / "crops.npy"), "prepare it again")
    shutil.rmtree(pack)
    assert_refused(call("data=flic", "--check", out), str(pack), "no pack")


@pytest.mark.real
@pytest.mark.slow
def test_the_whole_of_flic(real_data: Path, tmp_path: Path) -> None:
    """As a user runs it, in a process of its own."""
    command = [sys.executable, "-m", "hmlpe.cli.prepare", "data=flic", f"data.root={real_data / 'flic'}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True)

    refused = run()
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())
    for part in ("231 images", "0 train and 250 test", "record ", ".jpg", "data.allow_missing=true"):
        assert part in refused.stderr
    done = run("data.allow_missing=true")
    left_out = ["250 test people (image is missing)", "2 train people (in a test image)",
                "46 train people (near-duplicate of a test image)"]  # fmt: skip
    counts = f"3939 train and 766 test people; left out: {', '.join(left_out)}"
    near = "  flic: 21 of 695 test images share shots with 48 training people (listed in manifest.json; "
    counts += f"\n{near}data.keep_neighbours=false leaves them out)"
    look = "look at some of them before you train: data/flic/sheet.png"
    assert (done.returncode, done.stdout) == (0, f"data/flic prepared: {counts}\n{look}\n"), done.stderr
    manifest = json.loads((tmp_path / "data" / "flic" / "manifest.json").read_text())
    assert manifest["counts"] == {
        "people": 4705, "train": 3939, "test": 766, "annotated_train": 3987, "annotated_test": 1016,
    }  # fmt: skip
    left_out_images = [(one["reason"].partition(":")[0], one["image"]) for one in manifest["skipped"]]
    assert len({image for reason, image in left_out_images if reason == "image is missing"}) == 231
    assert {image for reason, image in left_out_images if reason == "in a test image"} == {
        "collateral-disc1-00080111.jpg", "funny-girl-dvd-video-00184641.jpg",
    }  # fmt: skip
    for name, side in (("crops", 128), ("test_crops", 112)):
        crops = np.load(tmp_path / "data" / "flic" / f"{name}.npy", mmap_mode="r")
        assert crops.shape == (4705, side, side, 3)
    again = run("data.allow_missing=true")
    assert (again.returncode, again.stdout) == (0, f"data/flic is already prepared: {counts}\n{look}\n")
    whole = run("--check")
    assert (whole.returncode, whole.stdout) == (0, f"data/flic is intact: {counts}\n")


def test_attributes_of_a_set_of_ones_own(call: Call, tmp_path: Path) -> None:
    """How many are known is said, and that another attribute makes another pack; an unknown word is one line."""
    people = [("a", "left", "train"), ("b", "", "train"), ("c", "right", "test")]
    lines = [f"{name}.png,1,{joint},{x},{x},1,{split},{facing}" for name, facing, split in people
             for joint, x in (("neck", 20), ("left_wrist", 40))]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join(["image,person,joint,x,y,visible,split,facing", *lines, ""]))
    for name, _, _ in people:
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(picture(name)).save(tmp_path / "photos" / f"{name}.png")
    words = ["data=csv", "data.name=dogs", f"data.source.images={tmp_path / 'photos'}", "data.crop_px=16", "size_px=14"]
    words += [f"data.source.table={tmp_path / 'labels.csv'}", "data.near_duplicates=null", "prepare.sheet=0"]
    answer = call(*words, "data.source.attributes={way: {field: facing, classes: [left]}}")
    assert_refused(answer, "labels.csv, line 6", "column 'facing': must be one of left", "'right'")
    assert call(*words).out.splitlines()[1:] == []
    answer = call(*words, "data.source.attributes={way: {field: facing, classes: [left, right]}}")
    assert answer.code == 0 and ", attributes: 2 train and 1 test people" in answer.out
    assert "  attribute way (left, right): known for 1 of 2 train and 1 of 1 test people\n" in answer.out

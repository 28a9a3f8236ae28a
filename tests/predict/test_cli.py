"""hmlpe-predict as a user meets it: what it prints, its exit code, and how little it loads."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from hmlpe.predict.onnx_file import metadata_json

from .fakes import lit, write_video
from .test_onnx_file import CARD, model

# OmegaConf's DictConfig inherits from typing.MutableMapping
pytestmark = pytest.mark.filterwarnings("ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")

HEAVY = {"torch", "lightning", "albumentations", "scipy", "matplotlib", "pandas", "wandb"}


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], logging_restored: None
) -> Call:
    """Runs hmlpe-predict in a folder with photos; the whole photo is the person, unless a detector is named."""
    from hmlpe.cli.predict import main  # here, where the mark's filter is on

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; this puts it back
    (tmp_path / "model.onnx").write_bytes(model({"hmlpe": metadata_json(CARD, 0.5)}))
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.png"):
        Image.fromarray(lit(30, 20)).save(tmp_path / "photos" / name)

    def run(*settings: str) -> Answer:
        detector = [] if any("detector" in one for one in settings) else ["detector=whole"]
        monkeypatch.setattr(sys, "argv", ["hmlpe-predict", *settings, *detector])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        output = capfd.readouterr()
        return Answer(code, output.out, output.err)

    return run


MODEL = "checkpoint=model.onnx"


def test_a_folder(call: Call, tmp_path: Path) -> None:
    answer = call(MODEL, "source=photos")
    assert (answer.code, answer.err) == (0, "")
    assert "2 people in 2 images" in answer.out and "outputs/predict" in answer.out and answer.out.count("\n") == 1
    assert sorted(path.name for path in (tmp_path / "outputs" / "predict").iterdir()) == [
        "a_pose.jpg", "b_pose.png", "poses.csv", "poses.json",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "outputs", "photos"]  # no log, no .hydra


def test_nobody_is_said_and_is_no_error(call: Call, tmp_path: Path) -> None:
    """By the real detector, on a picture of nothing."""
    Image.new("RGB", (200, 150), "gray").save(tmp_path / "nobody.png")
    answer = call(MODEL, "source=nobody.png", "detector=cascade")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "no person found in 1 of the photos: nobody.png"
    (image,) = json.loads((tmp_path / "outputs" / "predict" / "poses.json").read_text())["images"]
    assert image["people"] == []


def test_a_network_without_a_rule_for_windows_takes_the_given_box_and_says_so(call: Call, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model({"hmlpe": metadata_json(replace(CARD, factors=None), 0.5)}))
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\na.jpg,1,2,20,25\nb.png,1,2,20,25\n")
    answer = call(MODEL, "source=photos", "detector=given", "detector.file=boxes.csv")
    assert answer.code == 0 and answer.out.startswith(f"{CARD.name}: its data have no rule to turn a detector's window")
    content = json.loads((tmp_path / "outputs" / "predict" / "poses.json").read_text())
    assert content["factors"] is None
    assert [image["people"][0]["box_px"] for image in content["images"]] == [[1, 2, 20, 25]] * 2
    assert "no rule" not in call(MODEL, "source=photos", "detector=whole").out  # the whole image, whatever the rule


def test_a_photo_that_is_not_in_the_file_of_boxes_is_said(call: Call, tmp_path: Path) -> None:
    """A name that is written differently there must not look like a photo of nobody."""
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\na.jpg,1,1,20,20\nB.png,1,1,20,20\n")
    answer = call(MODEL, "source=photos", "detector=given", "detector.file=boxes.csv")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0] == "no boxes in boxes.csv for 1 of the images, e.g. b.png"
    assert "1 person in 2 images" in answer.out
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\na.jpg,1,1,20,20\nb.png,1,1,20,20\n")
    assert "boxes" not in call(MODEL, "source=photos", "detector=given", "detector.file=boxes.csv").out


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("gone.jpg", "gone.jpg: there is no such file or folder"),
        ("photos/*.gif", "photos/*.gif: no file has a name like that"),
        ("empty", "empty: no image in this folder (1 other files); recursive=true also searches subfolders"),
        ("text.jpg", "text.jpg: not a whole image"),
        ("text.mp4", "text.mp4: not a video that can be read"),
        ("null", "source: is not given; for example source=photo.jpg"),
        ("[]", "source: must be a name, a camera's number, or a list of them"),
        ("99", "camera99: this camera cannot be opened"),
        ("1.5", "1.5: there is no such file"),
    ],
)
def test_one_source_that_is_none_is_one_line(call: Call, tmp_path: Path, source: str, error: str) -> None:
    for name in ("text.jpg", "text.mp4", "empty/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("poses, please")
    answer = call(MODEL, f"source={source}")
    assert answer.code == 2 and answer.err.startswith("error: ") and error in answer.err
    assert answer.err.count("\n") == 1 and answer.out == ""


def test_the_others_are_done_and_a_summary_says_what_is_not(call: Call, tmp_path: Path) -> None:
    (tmp_path / "photos" / "c.jpg").write_text("poses, please")
    answer = call(MODEL, "source=[photos,gone.jpg]")
    assert answer.code == 2 and "2 people in 2 images" in answer.out
    lines = answer.err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["skipped", "skipped", "error"]
    assert "gone.jpg" in lines[0] and "photos/c.jpg: not a whole image" in lines[1]
    assert lines[2] == "error: 2 images or other sources were skipped; all others are done"


def test_a_video_that_ends_early_is_said_and_is_no_error(call: Call, tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", 60, (320, 240))
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    answer = call(MODEL, "source=a.avi")
    assert (answer.code, answer.err) == (0, "")
    said, early, _ = answer.out.splitlines()
    assert said.startswith("a.avi: people in ") and "a.avi: ends early, " in early and "of 60 frames" in early


def test_names_with_any_space_and_what_cannot_be_read(call: Call, tmp_path: Path) -> None:
    """macOS' screenshots are photos as any other; a phone's HEIC is named, and the others are done."""
    odd = "Photo 9.41\u202fAM \u3000é\u200d.jpg"
    Image.fromarray(lit(30, 20)).save(tmp_path / "photos" / odd)
    (tmp_path / "photos" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    answer = call(MODEL, "source=photos")
    assert answer.code == 2 and "3 people in 3 images" in answer.out
    assert "error: " in answer.err and "IMG_1.HEIC: HEIC, which is not a supported image format" in answer.err
    content = json.loads((tmp_path / "outputs" / "predict" / "poses.json").read_text())
    assert odd in [image["image"] for image in content["images"]] and len(content["skipped"]) == 1


def test_a_large_photo_is_drawn_smaller_in_its_own_coordinates(call: Call, tmp_path: Path) -> None:
    Image.new("RGB", (10000, 5100), "green").save(tmp_path / "large.jpg")
    answer = call(MODEL, "source=large.jpg")
    assert (answer.code, answer.err) == (0, "")
    (image,) = json.loads((tmp_path / "outputs" / "predict" / "poses.json").read_text())["images"]
    assert (image["width"], image["height"]) == (10000, 5100)
    assert np.allclose(image["people"][0]["box_px"], [-0.5, -0.5, 9999.5, 5099.5], atol=0.01)
    with Image.open(tmp_path / "outputs" / "predict" / image["picture"]) as picture:
        assert picture.size == (5000, 2550)


@pytest.mark.parametrize(
    "name", ["my photo (1).jpg", "a,b.jpg", "a=b.jpg", "[x].jpg", "'q'.jpg", 'say "cheese".jpg', "back\\slash.jpg", "0"]
)
def test_any_file_name_can_be_typed(call: Call, tmp_path: Path, name: str) -> None:
    """Hydra would ask for quotes inside the shell's."""
    Image.fromarray(lit(30, 20)).save(tmp_path / name, "JPEG")
    answer = call(MODEL, f"source={name}")
    assert (answer.code, answer.err) == (0, "")
    (image,) = json.loads((tmp_path / "outputs" / "predict" / "poses.json").read_text())["images"]
    assert image["image"] == name


def test_out_of_any_name_and_whole_photos(call: Call, tmp_path: Path) -> None:
    """The network's box is the photo, so its joints (all at 0.5, 0.5 of red) are in it."""
    answer = call(MODEL, "source='photos/*'", "out=my results (1)", "maps=true", "draw=false")
    assert (answer.code, answer.err) == (0, "")
    content = json.loads((tmp_path / "my results (1)" / "poses.json").read_text())
    assert [image["maps"] for image in content["images"]] == [["a_maps1.png"], ["b_maps1.png"]]
    assert np.allclose(content["images"][0]["people"][0]["box_px"], [-0.5, -0.5, 63.5, 47.5], atol=0.01)


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("people=0", "people: must be a whole number above 0"),
        ("frames=-1", "frames: must be"),
        ("batch=null", "batch: must be"),
        ("score=high", "score: must be a number"),
        ("maps=perhaps", "maps: must be true or false"),
        ("checkpoint=gone.onnx", "gone.onnx: no such file"),
        ("checkpoint=null", "checkpoint: is not given"),
        ("out=null", "out: is not given; for example out=found"),
        *((f"{name}=true", f"{name}: must be a") for name in ("people", "frames", "batch", "threads", "score")),
        ("fires=0.5", "model.onnx: an ONNX file has its own fires"),
        ("detector=given", "detector.file: is not given"),
        ("detector.cascades=null", "detector.cascades: must be a mapping, got null"),
        ("out=model.onnx", "model.onnx: cannot be written"),
    ],
)
def test_settings_that_are_none(call: Call, setting: str, error: str) -> None:
    answer = call(*([] if setting.startswith("checkpoint") else [MODEL]), "source=photos", setting)
    assert answer.code == 2 and answer.err.startswith("error: ") and error in answer.err
    assert answer.err.count("\n") == 1
    assert not {"None", "True"} & set(os.listdir())


def test_one_is_counted_as_one(call: Call) -> None:
    assert call(MODEL, "source=photos/a.jpg").out.startswith("1 person in 1 image, ")


def test_without_settings_it_says_what_to_give(call: Call) -> None:
    assert "checkpoint: is not given" in call().err
    assert "source: is not given" in call(MODEL).err


def test_an_onnx_file_needs_no_torch(call: Call, tmp_path: Path) -> None:
    """The whole way, with the default detector, in a process of its own."""
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted({name.split('.')[0] for name in sys.modules}))))\n"
        "from hmlpe.cli.predict import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, MODEL, "source=photos", "maps=true"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"onnxruntime", "cv2", "hydra"} <= loaded and not HEAVY & loaded

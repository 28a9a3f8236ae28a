"""Photos go in, poses and pictures come out: in order, in the right place, whatever lies between them."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from hmlpe.errors import UserError
from hmlpe.predict import job as shared
from hmlpe.predict.job import Options, Summary, run_job, skipped_lines
from hmlpe.predict.sources import Skipped, find_sources

from .fakes import SIDE, SKELETON, Beacon, Fixed, lit, predictor


def save(path: Path, x: int = 30, y: int = 20, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(lit(x, y)).save(path, **more)
    return path


def look(*sources: Path, out: Path, who: Any = None, recursive: bool = False, **options: Any) -> Summary:
    found = find_sources([str(source) for source in sources], recursive)
    return run_job(found, who or predictor(), Options(out, **options), detector="a.Beacon")


def poses(out: Path) -> dict[str, Any]:
    content = json.loads((out / "poses.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_what_is_written(tmp_path: Path) -> None:
    """Joints are in image pixels; JSON and CSV agree; the picture has the photo's size."""
    save(tmp_path / "photos" / "b.png", 30, 20)
    save(tmp_path / "photos" / "a.jpg", 12, 33)
    out = tmp_path / "new" / "out"
    summary = look(tmp_path / "photos", out=out)
    content = poses(out)
    assert (summary.images, summary.people, summary.empty, summary.skipped) == (2, 2, [], [])
    assert content["model"] == "study/row_s0" and content["made_by"] == {"code": "abc"}
    assert content["detector"] == "a.Beacon" and content["folder"] == str(tmp_path / "photos") and content["finished"]
    assert [image["image"] for image in content["images"]] == ["a.jpg", "b.png"]
    first, second = content["images"]
    assert (first["width"], first["height"], first["picture"]) == (64, 48, "a_pose.jpg")
    (person,) = second["people"]
    assert person["number"] == 1 and person["score"] == 1.0
    assert person["window_px"] == [30 - SIDE / 2, 20 - SIDE / 2, 30 + SIDE / 2, 20 + SIDE / 2]
    assert person["box_px"] == [30 - SIDE, 20 - 0.75 * SIDE, 30 + SIDE, 20 + 0.75 * SIDE]  # factors 2, 0.5, 0.5
    assert person["joints"]["head"] == {"x": 30.0, "y": 20.0, "confidence": 0.75}
    assert person["joints"]["left_hand"] == {"x": 40.0, "y": 27.5, "confidence": 0.75}
    assert first["people"][0]["joints"]["head"] == {"x": 12.0, "y": 33.0, "confidence": 0.75}
    with (out / "poses.csv").open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["image"], row["person"], row["joint"]) for row in rows] == [
        (image, "1", joint) for image in ("a.jpg", "b.png") for joint in SKELETON.joints
    ]
    assert [float(rows[3][name]) for name in ("x", "y", "confidence", "score", "window_x0", "window_y1")] == [
        30, 20, 0.75, 1, 20, 30,
    ]  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == ["a_pose.jpg", "b_pose.png", "poses.csv", "poses.json"]
    with Image.open(out / "b_pose.png") as drawn:
        assert drawn.size == (64, 48)


@pytest.mark.parametrize("turn", range(1, 9))
def test_poses_are_of_the_upright_image(tmp_path: Path, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    save(tmp_path / "a.png", 10, 40, exif=exif)
    look(tmp_path / "a.png", out=tmp_path / "out")
    (image,) = poses(tmp_path / "out")["images"]
    x, y = {1: (10, 40), 2: (53, 40), 3: (53, 7), 4: (10, 7), 5: (40, 10), 6: (7, 10), 7: (7, 53), 8: (40, 53)}[turn]
    head = image["people"][0]["joints"]["head"]
    assert (head["x"], head["y"]) == (x, y)
    assert (image["width"], image["height"]) == ((64, 48) if turn < 5 else (48, 64))
    with Image.open(tmp_path / "out" / "a_pose.png") as drawn:
        assert drawn.size == (image["width"], image["height"])


def test_nobody_is_an_answer(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "black").save(tmp_path / "a.png")
    summary = look(tmp_path / "a.png", out=tmp_path / "out", maps=True)
    assert summary.empty == ["a.png"] and not summary.skipped
    (image,) = poses(tmp_path / "out")["images"]
    assert image["people"] == [] and image["maps"] == []
    assert (tmp_path / "out" / "poses.csv").read_text().count("\n") == 1
    assert (tmp_path / "out" / "a_pose.png").is_file()


def cut(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def bomb(path: Path) -> None:
    path.write_bytes(b"P6 99999 99999 255\n" + bytes(99))


BAD = {
    "a text file": (lambda path: path.write_text("poses, please"), "not a whole image"),
    "an empty file": (lambda path: path.write_bytes(b""), "not a whole image"),
    "a cut photo": (cut, "not a whole image"),
    "a bomb": (bomb, "too many pixels"),
    "a pipe": (os.mkfifo, "a pipe"),
    "a link to nowhere": (lambda path: path.symlink_to("gone"), "missing"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_skipped_and_the_others_are_done(tmp_path: Path, kind: str) -> None:
    make, reason = BAD[kind]
    photos = tmp_path / "photos"
    save(photos / "a.jpg"), save(photos / "z.jpg")
    make(photos / "m.jpg")
    summary = look(photos, out=tmp_path / "out")
    assert [image["image"] for image in poses(tmp_path / "out")["images"]] == ["a.jpg", "z.jpg"]
    ((name, why),) = summary.skipped
    assert name == "m.jpg" and str(photos / "m.jpg") in why and reason in why and why.isprintable()
    assert poses(tmp_path / "out")["skipped"] == [{"name": "m.jpg", "reason": why}]


def test_an_image_that_the_detector_refuses_is_skipped(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg")
    summary = look(tmp_path, out=tmp_path / "out", who=predictor(Beacon(refuses=["a.jpg"])))
    assert [one.name for one in summary.skipped] == ["a.jpg"] and summary.images == 1


def test_batches_are_shared_and_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        save(tmp_path / f"{number:02d}.png", 20 + number)
    estimator = Fixed()
    look(tmp_path, out=tmp_path / "out", who=predictor(Beacon(2), estimator))
    assert estimator.batches == [32, 8]
    heads = [image["people"][1]["joints"]["head"]["x"] for image in poses(tmp_path / "out")["images"]]
    assert heads == [20 + number for number in range(20)]
    monkeypatch.setattr("hmlpe.predict.job.CHUNK_PIXELS", 5 * 64 * 48)
    estimator = Fixed()
    look(tmp_path, out=tmp_path / "out", who=predictor(Beacon(2), estimator))
    assert estimator.batches == [10, 10, 10, 10]


def test_limits(tmp_path: Path) -> None:
    save(tmp_path / "a.png")

    def scores(**options: Any) -> list[float]:
        look(tmp_path / "a.png", out=tmp_path / "out", who=predictor(Beacon(4)), **options)
        return [person["score"] for person in poses(tmp_path / "out")["images"][0]["people"]]

    assert scores() == [4, 3, 2, 1]
    assert scores(people=2) == [4, 3]
    assert scores(score=3.0) == [4, 3]
    assert scores(score=3.0, people=1) == [4]
    assert scores(score=9.0) == []


def test_maps_and_poses_alone(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    look(tmp_path / "a.jpg", out=tmp_path / "out", who=predictor(Beacon(2)), maps=True, draw=False)
    (image,) = poses(tmp_path / "out")["images"]
    assert image["maps"] == ["a_maps1.png", "a_maps2.png"] and "picture" not in image
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a_maps1.png", "a_maps2.png", "poses.csv", "poses.json"]


def test_a_network_without_detectors(tmp_path: Path) -> None:
    """Its confidence is null and empty; maps are refused before anything is written."""
    save(tmp_path / "a.jpg")
    plain = predictor(estimator=Fixed(maps=False))
    with pytest.raises(UserError, match="no part detectors"):
        look(tmp_path / "a.jpg", out=tmp_path / "out", who=plain, maps=True)
    assert not (tmp_path / "out").exists()
    look(tmp_path / "a.jpg", out=tmp_path / "out", who=plain)
    assert poses(tmp_path / "out")["images"][0]["people"][0]["joints"]["head"]["confidence"] is None
    assert (tmp_path / "out" / "poses.csv").read_text().splitlines()[1].split(",")[5] == ""


def test_one_stem_gives_two_pictures(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.jpeg", "a.png", "below/a.jpg"):
        save(tmp_path / "photos" / name)
    look(tmp_path / "photos", out=tmp_path / "out", recursive=True)
    pictures = {image["image"]: image["picture"] for image in poses(tmp_path / "out")["images"]}
    assert pictures == {
        "a.jpeg": "a_pose.jpg",
        "a.jpg": "a.jpg_pose.jpg",
        "a.png": "a_pose.png",
        "below/a.jpg": "below/a_pose.jpg",
    }
    assert all((tmp_path / "out" / name).is_file() for name in pictures.values())


def test_sources_are_never_overwritten_and_results_are_replaced(tmp_path: Path) -> None:
    """With the photos' own folder as `out`, twice; one photo has the name that another's picture would get."""
    before = {name: save(tmp_path / name).read_bytes() for name in ("a.jpg", "a_pose.jpg", "b.png")}
    for _ in range(2):
        look(tmp_path, out=tmp_path)
        assert {name: (tmp_path / name).read_bytes() for name in before} == before
        pictures = {image["image"]: image["picture"] for image in poses(tmp_path)["images"]}
        assert pictures == {"a.jpg": "a.jpg_pose.jpg", "a_pose.jpg": "a_pose_pose.jpg", "b.png": "b_pose.png"}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_pose.jpg").symlink_to(tmp_path / "a.jpg")
    look(tmp_path / "a.jpg", out=tmp_path / "out")
    assert (tmp_path / "a.jpg").read_bytes() == before["a.jpg"]


def test_old_results_stay_until_the_new_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png")
    out = tmp_path / "out"
    look(tmp_path / "a.png", out=out)
    before = (out / "poses.json").read_text()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hmlpe.predict.job.draw_people", broken)
    with pytest.raises(ZeroDivisionError):
        look(tmp_path / "a.png", out=out)
    assert (out / "poses.json").read_text() == before
    assert sorted(path.name for path in out.iterdir()) == ["a_pose.png", "poses.csv", "poses.json"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_place_that_is_none_is_one_line(tmp_path: Path, below: str) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "file").write_text("?")
    with pytest.raises(UserError, match="cannot be written") as raised:
        look(tmp_path / "a.png", out=tmp_path / "file" / below)
    assert str(tmp_path / "file") in str(raised.value)


def test_ctrl_c_leaves_whole_files(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path / f"{number}.png")

    class Interrupted(Beacon):
        def __call__(self, image: np.ndarray, name: str) -> Any:
            if name == "2.png":
                os.kill(os.getpid(), signal.SIGINT)
            return super().__call__(image, name)

    before = signal.getsignal(signal.SIGINT)
    summary = look(tmp_path, out=tmp_path / "out", who=predictor(Interrupted()))
    assert summary.stopped and signal.getsignal(signal.SIGINT) is before
    content = poses(tmp_path / "out")
    assert [image["image"] for image in content["images"]] == ["0.png", "1.png", "2.png"] and not content["finished"]


def test_deep_grey_is_drawn_in_colour_and_full_size(tmp_path: Path) -> None:
    deep = np.full((900, 1200), 8000, np.uint16)
    deep[300, 700] = 65535
    assert cv2.imwrite(str(tmp_path / "a.png"), deep)
    look(tmp_path / "a.png", out=tmp_path / "out")
    head = poses(tmp_path / "out")["images"][0]["people"][0]["joints"]["head"]
    assert (head["x"], head["y"]) == (700, 300)
    with Image.open(tmp_path / "out" / "a_pose.png") as drawn:
        assert drawn.size == (1200, 900) and drawn.mode == "RGB"


def test_the_summary_is_short_and_plain() -> None:
    lines = skipped_lines([Skipped("a", "a\nb\0: gone")] * 30)
    assert len(lines) == 21 and lines[-1] == "and 10 more, see poses.json"
    assert all(line.isprintable() for line in lines)


def test_a_short_run_has_no_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shared.progress_bar(3, "photos", " photos") as progress:
        progress.update(3)
    assert capsys.readouterr().err == ""

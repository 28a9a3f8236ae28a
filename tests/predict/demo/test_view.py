"""What the page shows after each thing that its user does. No browser, no server, no gradio."""

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hmlpe.predict.demo.finder import DETECTED, GIVEN, WHOLE, Finder, PhotoResult
from hmlpe.predict.demo.markup import hint_html
from hmlpe.predict.demo.view import Settings, View, Viewer

from .fakes import SKELETON, FakeDetector, FakeEstimator

TWO = [(5, 5, 25, 23), (30, 10, 50, 28)]


AS_IT_COMES = Settings(DETECTED, "", 10)


def viewer(*windows: tuple[float, ...], detects: bool = True) -> Viewer:
    return Viewer(Finder(FakeDetector(*windows), FakeEstimator(detects)))


def photo(folder: Path, name: str = "photo.png", size: tuple[int, int] = (60, 40)) -> Path:
    path = folder / name
    Image.effect_noise(size, 60).convert("RGB").save(path)
    return path


def picture(markup: str) -> np.ndarray:
    (data,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', markup)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def joints(markup: str) -> list[str]:
    return re.findall(r'<th scope="row">([^<]+)</th>', markup)


def answer_of(view: View) -> PhotoResult:
    assert view.result is not None
    return view.result


def test_a_photo_is_answered_and_its_copy_deleted(tmp_path: Path) -> None:
    path = photo(tmp_path)
    before = np.asarray(Image.open(path)).astype(int)
    view = viewer(*TWO).load_photo(path, AS_IT_COMES)
    assert list(tmp_path.iterdir()) == []
    assert 'role="status">photo.png: 2 people found<' in view.status
    assert np.abs(picture(view.drawn).astype(int) - before).max() > 60
    assert 'alt="photo.png: 2 people found"' in view.drawn
    assert view.people == 2
    assert "Joints of person 1" in view.chosen and len(picture(view.chosen)) > 400
    assert joints(view.chosen) == [name.replace("_", " ") for name in SKELETON.joints]


def test_the_poses_are_the_file_of_hmlpe_predict(tmp_path: Path) -> None:
    view = viewer(*TWO).load_photo(photo(tmp_path, "a<b>.png"), AS_IT_COMES)
    assert 'download="a&lt;b&gt;.poses.json"' in view.link
    (data,) = re.findall(r'href="data:application/json;base64,([^"]+)"', view.link)
    content = json.loads(base64.b64decode(data))
    assert content["model"] == "study/fake_s1"
    (entry,) = content["images"]
    assert (entry["image"], entry["width"], entry["height"]) == ("a<b>.png", 60, 40)
    assert [one["window_px"] for one in entry["people"]] == [list(window) for window in TWO]
    head = entry["people"][1]["joints"]["head"]
    assert np.allclose([head["x"], head["y"]], answer_of(view).people[1].joints_px[0], atol=0.006)


def test_another_person_can_be_chosen(tmp_path: Path) -> None:
    shown = viewer(*TWO)
    result = answer_of(shown.load_photo(photo(tmp_path), AS_IT_COMES))
    second = shown.show_person(result, 1)
    assert "Joints of person 2" in second
    assert f"<td>{result.people[1].joints_px[0, 0]:.1f}</td>" in second
    assert shown.show_person(result, 2) == shown.show_person(result, None) == shown.show_person(None, 0) == ""


def test_nobody_found_is_said(tmp_path: Path) -> None:
    view = viewer().load_photo(photo(tmp_path), AS_IT_COMES)
    assert 'role="status">photo.png: no person found<' in view.status
    assert picture(view.drawn).shape == (40, 60, 3)
    assert view.people == 0 and view.chosen == "" and view.link


def test_a_net_without_detectors_has_no_maps(tmp_path: Path) -> None:
    chosen = viewer(*TWO, detects=False).load_photo(photo(tmp_path), AS_IT_COMES).chosen
    assert "<img" not in chosen and len(joints(chosen)) == 8
    assert chosen.count("<td>–</td>") == 8


def cut(path: Path) -> None:
    Image.effect_noise((200, 200), 60).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    "spoil", [cut, Path.touch, lambda path: path.write_text("no image")], ids=["cut", "empty", "text"]
)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    path = tmp_path / "broken.jpg"
    spoil(path)
    view = viewer(*TWO).load_photo(path, AS_IT_COMES)
    (text,) = re.findall(r'role="alert">([^<]+)<', view.status)
    assert text.startswith("broken.jpg: ") and str(tmp_path) not in text
    assert view[:2] == (None, 0) and view.drawn == hint_html() and view.chosen == view.link == ""
    assert list(tmp_path.iterdir()) == []


def test_other_settings_are_for_the_same_photo(tmp_path: Path) -> None:
    shown = viewer(*TWO)
    result = answer_of(shown.load_photo(photo(tmp_path), AS_IT_COMES))
    one = shown.update_view(result, Settings(DETECTED, "", 1))
    assert "1 person found (1 more left out" in one.status and one.people == 1
    whole = answer_of(shown.update_view(answer_of(one), Settings(WHOLE, "", 10)))
    assert np.allclose(whole.people[0].box_px, [-0.5, -0.5, 59.5, 39.5])
    asked = shown.update_view(whole, Settings(GIVEN, "", 10))
    assert "four numbers" in asked.status and asked.people == 0
    given = shown.update_view(answer_of(asked), Settings(GIVEN, "10 10 30 28", 10))
    assert "photo.png: 1 person found" in given.status


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.effect_noise((60, 40), 60).convert("RGB").save(tmp_path / "turned.jpg", exif=exif)
    assert picture(viewer().load_photo(tmp_path / "turned.jpg", AS_IT_COMES).drawn).shape == (60, 40, 3)


@pytest.mark.parametrize("name", ["grey.png", "deep.png", "deep.tif", "clear.png", "print.jpg", "few.gif", "bits.png"])
def test_photos_of_any_mode_work(tmp_path: Path, name: str) -> None:
    noise = Image.effect_noise((60, 40), 60)
    modes = {"clear": "RGBA", "print": "CMYK", "few": "P", "bits": "1"}
    stem = name.partition(".")[0]
    if stem == "deep":
        noise = Image.fromarray(np.asarray(noise).astype(np.uint16) * 257)
    (noise.convert(modes[stem]) if stem in modes else noise).save(tmp_path / name)
    view = viewer(*TWO).load_photo(tmp_path / name, AS_IT_COMES)
    assert "2 people found" in view.status
    assert 20 < picture(view.drawn)[30:].mean() < 235  # neither black nor white


def test_a_large_photo_is_shown_smaller_but_measured_in_its_own_pixels(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (4000, 3000), "green").save(path)
    view = viewer((1000.0, 500.0, 3000.0, 2300.0)).load_photo(path, AS_IT_COMES)
    assert picture(view.drawn).shape == (1200, 1600, 3)
    assert answer_of(view).people[0].joints_px[:, 0].mean() > 1600

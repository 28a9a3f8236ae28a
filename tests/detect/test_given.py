"""Boxes that the user gives: whose they are, what their coordinates mean, and what is wrong with a file."""

from __future__ import annotations

import json
import pickle
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from hmlpe.detect.box_map import BoxMap
from hmlpe.detect.given import GivenBoxes
from hmlpe.errors import UserError

IMAGE = np.zeros((100, 200, 3), dtype=np.uint8)
HEADER = "image,x0,y0,x1,y1,score\n"

Write = Callable[[Any], str]


@pytest.fixture
def csv(tmp_path: Path) -> Write:
    def write(text: str | bytes) -> str:
        path = tmp_path / "boxes.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.fixture
def coco(tmp_path: Path) -> Write:
    def write(content: Any, name: str = "boxes.json") -> str:
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path / name)

    return write


def test_a_table_is_taken_as_it_is_and_sorted_by_score(csv: Write) -> None:
    text = HEADER + "a.jpg,1,2,30,40,0.5\nb.jpg,0,0,5,5,1\n\na.jpg,-0.5,-0.5,9.5,9.5,0.9\n"
    given = GivenBoxes(csv("\ufeff" + text))
    found = given(IMAGE, "a.jpg")
    np.testing.assert_array_equal(found.windows_px, [[-0.5, -0.5, 9.5, 9.5], [1, 2, 30, 40]])
    np.testing.assert_array_equal(found.scores, [0.9, 0.5])
    for _ in range(2):
        nobody = given(IMAGE, "c.jpg")
        assert nobody.windows_px.shape == (0, 4) and nobody.scores.shape == (0,)
    assert given.unlisted_images == ["c.jpg"]


def test_a_header_alone_says_that_there_is_nobody(csv: Write) -> None:
    given = GivenBoxes(csv(HEADER))
    assert len(given(IMAGE, "a.jpg").scores) == 0 and given.unlisted_images == ["a.jpg"]


def test_columns_in_any_order_and_without_score(csv: Write) -> None:
    found = GivenBoxes(csv("x0,y0,x1,y1,image\n1,2,3,4,a.jpg\n"))(IMAGE, "a.jpg")
    assert found.windows_px.tolist() == [[1, 2, 3, 4]] and found.scores.tolist() == [1]


def test_coco_counts_from_corners(coco: Write) -> None:
    """The box of the whole of a 10 x 10 image is 0, 0, 10, 10 in COCO's file, and pixel i covers i ± 0.5 here."""
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "empty.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 10], "iscrowd": 1},
        ],
    }
    given = GivenBoxes(coco(content))
    assert given(IMAGE, "a.jpg").windows_px.tolist() == [[-0.5, -0.5, 9.5, 9.5]]
    assert not len(given(IMAGE, "empty.jpg").scores) and not given.unlisted_images


def test_a_list_of_detections_with_its_images_or_with_names(coco: Write) -> None:
    images = coco({"images": [{"id": 7, "file_name": "a.jpg"}]}, "images.json")
    found = GivenBoxes(coco([{"image_id": 7, "bbox": [1, 1, 2, 2], "score": 0.25}]), images=images)(IMAGE, "a.jpg")
    assert found.windows_px.tolist() == [[0.5, 0.5, 2.5, 2.5]] and found.scores.tolist() == [0.25]
    found = GivenBoxes(coco([{"image_id": "a.jpg", "bbox": [1, 1, 2, 2]}]))(IMAGE, "a.jpg")
    assert len(found.scores) == 1


def test_only_the_chosen_category(coco: Write) -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": one, "bbox": [one, 0, 10, 10]} for one in (18, 1)],
    }
    for category in ("person", 1):
        assert GivenBoxes(coco(content), category=category)(IMAGE, "a.jpg").windows_px[:, 0].tolist() == [0.5]
    with pytest.raises(UserError, match=r"place 2: the boxes are of several categories"):
        GivenBoxes(coco(content))
    with pytest.raises(UserError, match="0 categories are called 'cat'"):
        GivenBoxes(coco(content), category="cat")


def test_ids_as_texts_are_the_numbers(coco: Write) -> None:
    """Some tools write them so in one place, and as numbers in another."""
    annotation = {"image_id": "7", "category_id": "1", "bbox": [1, 0, 10, 10], "iscrowd": False}
    for image, kind in ((7, 1), ("7", "1")):
        content = {
            "images": [{"id": image, "file_name": "photos\\a.jpg"}],
            "categories": [{"id": kind, "name": "person"}],
            "annotations": [annotation, {**annotation, "category_id": 2, "bbox": [2, 0, 10, 10]}],
        }
        found = GivenBoxes(coco(content), category="person")(IMAGE, "photos/a.jpg")
        assert found.windows_px[:, 0].tolist() == [0.5]


def test_what_of_a_table_is_not_read_is_counted(csv: Write) -> None:
    given = GivenBoxes(csv("image,x0,y0,x1,y1,label,\na.jpg,1,2,3,4,dog,\n,,,,,,\n"))
    assert given(IMAGE, "a.jpg").windows_px.tolist() == [[1, 2, 3, 4]]
    assert given.ignored == {"empty lines": 1, "cells of the unknown column 'label'": 1, "empty columns": 1}


@pytest.mark.parametrize("name", ["Höhe é.jpg", "Photo 9.41\u202fAM.jpg", "a\u3000b.jpg", "a\u200db.jpg"])
def test_names_of_any_spelling(csv: Write, name: str) -> None:
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for listed in forms:
        given = GivenBoxes(csv(f"{HEADER}{unicodedata.normalize(listed, name)},1,2,30,40,1\n"))
        for asked in forms:
            assert len(given(IMAGE, unicodedata.normalize(asked, name)).scores) == 1


def test_boxes_of_whole_people_become_windows(csv: Write) -> None:
    file = csv(HEADER + "a.jpg,10,0,30,90,1\n")
    for to_window in (BoxMap(0, 0, 0.3), {"shift": 0, "top": 0, "height": 0.3}):
        found = GivenBoxes(file, to_window=to_window)(IMAGE, "a.jpg")
        np.testing.assert_allclose(found.windows_px, [[5, 0, 35, 27]])
    with pytest.raises(UserError, match="needs shift, top and height, got top"):
        GivenBoxes(file, to_window={"top": 0})


def test_names_are_relative_to_the_folder_or_a_base_name_that_only_one_has(csv: Write) -> None:
    given = GivenBoxes(csv(HEADER + "x/a.jpg,1,2,30,40,1\ny/a.jpg,5,5,9,9,1\nz/b.jpg,1,1,2,2,1\n"))
    assert given(IMAGE, "x/a.jpg").windows_px[0, 0] == 1 and given(IMAGE, "./y/a.jpg").windows_px[0, 0] == 5
    assert given(IMAGE, "b.jpg").scores == given(IMAGE, "b.jpg").scores == [1]
    with pytest.raises(UserError, match=r"boxes\.csv: image 'a\.jpg' could be 'x/a\.jpg' or 'y/a\.jpg'"):
        given(IMAGE, "a.jpg")
    with pytest.raises(UserError, match=r"'z/b\.jpg' could be 'b\.jpg' or 'other/b\.jpg'"):
        given(IMAGE, "other/b.jpg")


def test_a_window_outside_its_image_is_of_another_image(csv: Write) -> None:
    given = GivenBoxes(csv(HEADER + "a.jpg,199.6,0,300,40,1\nb.jpg,199.4,0,300,40,1\n"))
    with pytest.raises(UserError, match=r"image 'a\.jpg': the window 199\.6, 0, 300, 40 lies outside its 200 x 100"):
        given(IMAGE, "a.jpg")
    assert len(given(IMAGE, "b.jpg").scores) == 1


def test_what_is_returned_is_the_callers(csv: Write) -> None:
    given = GivenBoxes(csv(HEADER + "a.jpg,1,2,30,40,1\n"))
    given(IMAGE, "a.jpg").windows_px[:] = 0
    assert pickle.loads(pickle.dumps(given))(IMAGE, "a.jpg").windows_px.tolist() == [[1, 2, 30, 40]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"boxes\.csv: is empty; its first line must name the columns image, x0, y0, x1, y1"),
        ("image;x0;y0;x1;y1\n", r"boxes\.csv, line 1: separated by semicolons"),
        ("image,x0,y0,x1\n", r"line 1: no column 'y1'"),
        ("image,x0,y0,x1,label\n", r"line 1: no column 'y1'.*; unknown: 'label'"),
        ("image,x0,x0,y0,x1,y1\n", r"line 1: the column 'x0' appears twice"),
        (HEADER + "a.jpg,1,2,30,40,0.5\na.jpg,1,2,30,4", r"boxes\.csv: its last line has no line break; is the file"),
        (HEADER + "a.jpg,1,2,3,4,1\na.jpg,1,2,3\n", r"line 3: 4 cells, the header has 6"),
        (HEADER + "a.jpg,1,2,3,x,1\n", r"line 2, column y1: must be a number"),
        (HEADER + "a.jpg,1,2,3,nan,1\n", r"line 2, column y1: must be a number"),
        (HEADER + "a.jpg,1,2,3,1e9,1\n", r"line 2, column y1: must be a number of at most"),
        (HEADER + "a.jpg,1,2,3,4,\n", r"line 2, column score: must be a number"),
        (HEADER + "a.jpg,3,2,3,4,1\n", r"line 2: the box has no width or no height"),
        (HEADER + " ,1,2,3,4,1\n", r"line 2: must name an image"),
        (HEADER + "a.jpg,1,2,3,4,1\n./a.jpg,1,2,3,4,1\n", r"'a\.jpg' is written in two ways"),
        (HEADER + '"a.jpg,1,2,3,4,1\n', r"line 2: not readable as CSV"),
        (b"\xff\xfe\x00image", r"not UTF-8"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_clear_line(csv: Write, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        GivenBoxes(csv(text))
    assert "\n" not in str(caught.value)


IMAGES = [{"id": 1, "file_name": "a.jpg"}]


def of_a(**record: Any) -> Any:
    """A file of one image with this one box."""
    return {"images": IMAGES, "annotations": [{"image_id": 1} | record]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"not readable as JSON"),
        ("[" * 100_000, r"not readable as JSON"),
        (3, r"must be a list of detections, or an object"),
        ({"images": IMAGES}, r"must be a list of detections, or an object"),
        ({"annotations": []}, r"must hold a list of 'images'"),
        ({"images": [{"id": 1}], "annotations": []}, r"image at place 1: must name an image, got nothing"),
        ({"images": IMAGES * 2, "annotations": []}, r"image at place 2: must be an object with a unique 'id'"),
        ({"images": IMAGES, "annotations": [1]}, r"annotation at place 1: must be an object, got 1"),
        (of_a(image_id=2, bbox=[0, 0, 1, 1]), r"place 1: .* no image with the id 2"),
        (of_a(), r"'bbox' must be a list of 4 numbers, got nothing"),
        (of_a(bbox=[0, 0, 1, None]), r"must be a number"),
        (of_a(bbox=[0, 0, 1, 0]), r"no width or no height"),
        (of_a(bbox=[0, 0, 1, 1], score="NaN"), r"must be a number"),
        ([{"image_id": 1, "bbox": [0, 0, 1, 1]}], r"detection at place 1: 'image_id' is not a name"),
        ([{"image_id": True, "bbox": [0, 0, 1, 1]}], r"detection at place 1: 'image_id' is not a name"),
    ],
)  # fmt: skip
def test_a_bad_coco_file_is_one_clear_line(coco: Write, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        GivenBoxes(coco(content))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not readable"):
        GivenBoxes(str(tmp_path / "none.csv"))
    with pytest.raises(UserError, match=r"must be a \.csv, or a \.json"):
        GivenBoxes(str(tmp_path / "boxes.txt"))

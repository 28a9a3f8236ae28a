"""Predictions as a table: whose they are, and every damage refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.evaluate.predictions import CsvReader

from .prediction_truth import IMAGES, SKELETON, joint_lines, joint_truth, refusal, stick_lines, stick_truth, write

HEAD = "image,person,joint,x,y"
WINDOWED = f"{HEAD},window_x0,window_y0,window_x1,window_y1"


def window(person: int, shift: float = 0) -> str:
    """The true window, moved to the right; it is 60 high and 66.67 wide, so that the IoU passes 0.5 at 22.2."""
    x0, y0, x1, y1 = stick_truth().window_px[person]
    return f",{x0 + shift},{y0},{x1 + shift},{y1}"


def test_joints(tmp_path: Path) -> None:
    truth = joint_truth()
    found = CsvReader()(write(tmp_path / "a.csv", HEAD, *joint_lines(truth, range(3))), truth)
    assert found.joints_px is not None and found.confidence is None and found.missing == ""
    np.testing.assert_array_equal(found.joints_px, truth.joints_px)
    np.testing.assert_array_equal(found.sticks_px, truth.sticks_px)
    assert found.detected.all()


def test_columns_in_another_order_and_among_others_and_an_origin_of_1(tmp_path: Path) -> None:
    truth = joint_truth(1)
    rows = [
        f"{y + 1},x,{joint},1,{x + 1},film-000.jpg"
        for joint, (x, y) in zip(SKELETON.joints, truth.joints_px[0], strict=True)
    ]
    found = CsvReader(origin=1)(write(tmp_path / "a.csv", "y,note,joint,person,x,image", *rows), truth)
    np.testing.assert_allclose(found.joints_px, truth.joints_px)


def test_tables_of_pandas_and_spreadsheets(tmp_path: Path) -> None:
    """As label files: whole numbers as floats, an index, empty lines and columns; what is not read is counted."""
    truth = joint_truth(1)
    rows = [line.split(",") for line in joint_lines(truth, [0])]
    lines = [f"{place},{image},1.0,{joint},{x},{y},," for place, (image, _, joint, x, y) in enumerate(rows)]
    path = write(tmp_path / "a.csv", f",{HEAD},,likelihood", *lines, ",,,,,,,")
    found = CsvReader()(path, truth)
    assert found.joints_px is not None
    np.testing.assert_array_equal(found.joints_px, truth.joints_px)
    assert found.missing == (
        "1 empty lines left out; 8 cells of the unknown column '' left out; 2 empty columns left out"
    )


def test_ends_of_sticks_alone_give_no_joints(tmp_path: Path) -> None:
    truth = stick_truth()
    found = CsvReader()(write(tmp_path / "a.csv", HEAD, *stick_lines(truth, range(4))), truth)
    assert found.joints_px is None and found.missing == "" and found.detected.all()
    np.testing.assert_array_equal(found.sticks_px, truth.sticks_px)


def test_joints_of_a_set_of_sticks_give_the_arms_and_ends_the_others(tmp_path: Path) -> None:
    """The truth's left is the person's, the set's the image's (FACTS 5): the left wrist ends the right lower arm."""
    truth = stick_truth()
    rows = [f"{IMAGES[0]},1,left_wrist,1,2", f"{IMAGES[0]},1,left_elbow,3,4", f"{IMAGES[0]},1,head_1,5,6"]
    rows += [f"{IMAGES[0]},1,head_2,7,8", f"{IMAGES[0]},1,torso_1,9,9"]
    found = CsvReader(allow_missing=True)(write(tmp_path / "a.csv", HEAD, *rows), truth)
    assert found.joints_px is not None
    np.testing.assert_array_equal(found.sticks_px[0, 4], [[3, 4], [1, 2]])
    np.testing.assert_array_equal(found.sticks_px[0, 5], [[5, 6], [7, 8]])
    assert np.isnan(found.sticks_px[0, [1, 2, 3]]).any(axis=(1, 2)).all() and np.isnan(found.sticks_px[1:]).all()
    assert found.detected.tolist() == [True, False, False, False]
    assert found.missing.startswith("no line for 3 of 4 people; no head, left_shoulder,") and "torso_2" in found.missing


def test_sticks_of_a_set_of_joints_are_the_parts(tmp_path: Path) -> None:
    truth = joint_truth(1)
    found = CsvReader()(write(tmp_path / "a.csv", HEAD, *stick_lines(truth, [0])), truth)
    assert found.joints_px is None
    np.testing.assert_array_equal(found.sticks_px, truth.sticks_px)


def test_paths_of_windows(tmp_path: Path) -> None:
    truth = stick_truth()
    rows = [row.replace("/", "\\") for row in stick_lines(truth, range(4))]
    found = CsvReader()(write(tmp_path / "a.csv", HEAD, *rows), truth)
    np.testing.assert_array_equal(found.sticks_px, truth.sticks_px)


def test_a_name_without_a_folder_is_enough_where_it_is_the_only_one(tmp_path: Path) -> None:
    truth = stick_truth()
    rows = stick_lines(truth, range(4))
    short = [row.replace("buffy_s5e2_original/000010", "000010") for row in rows]
    found = CsvReader()(write(tmp_path / "a.csv", HEAD, *short), truth)
    np.testing.assert_array_equal(found.sticks_px, truth.sticks_px)
    several = [row.replace("buffy_s5e2_original/", "") for row in rows]
    message = refusal(lambda: CsvReader()(write(tmp_path / "b.csv", HEAD, *several), truth))
    assert "b.csv, line 14: 000020.jpg is the name of 2 images" in message
    other = [row.replace("e2_original/000010", "e3_original/000010") for row in rows]  # a training frame
    message = refusal(lambda: CsvReader()(write(tmp_path / "c.csv", HEAD, *other), truth))
    assert "c.csv, line 2: buffy_s5e3_original/000010.jpg is not one of the 3 test images of buffy" in message


@pytest.mark.parametrize("cell", ["", "nan", "NaN"])
def test_what_is_not_predicted_is_wrong_and_no_error(tmp_path: Path, cell: str) -> None:
    truth = joint_truth(2)
    rows = joint_lines(truth, [0]) + [f"film-001.jpg,1,{joint},{cell},{cell}" for joint in SKELETON.joints]
    found = CsvReader()(write(tmp_path / "a.csv", HEAD, *rows), truth)
    assert found.joints_px is not None and np.isnan(found.joints_px[1]).all()
    assert found.detected.tolist() == [True, False] and found.missing == ""


def test_missing_people_are_refused_or_wrong(tmp_path: Path) -> None:
    truth = stick_truth()
    path = write(tmp_path / "a.csv", HEAD, *stick_lines(truth, [0, 1]))
    message = refusal(lambda: CsvReader()(path, truth))
    assert (
        f"a.csv: no line for 2 of 4 test people, the first is person 2 of {IMAGES[2]} (sticks.txt, line 2)" in message
    )
    assert "predictions_form=csv predictions_form.allow_missing=true" in message
    found = CsvReader(allow_missing=True)(path, truth)
    assert found.detected.tolist() == [True, True, False, False] and found.missing == "no line for 2 of 4 people"
    assert np.isnan(found.sticks_px[2:]).all()


def test_other_images_are_refused_or_left_out(tmp_path: Path) -> None:
    truth = joint_truth(1)
    path = write(tmp_path / "a.csv", HEAD, *joint_lines(truth, [0]), "train.jpg,4,head,1,2", "train.jpg,5,head,1,2")
    assert "a.csv, line 10: train.jpg is not one of the 1 test images of flic" in refusal(
        lambda: CsvReader()(path, truth)
    )
    found = CsvReader(allow_unknown=True)(path, truth)
    np.testing.assert_array_equal(found.joints_px, truth.joints_px)
    assert found.missing == "lines of 1 other images left out"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("film-000.jpg,1,head,1,2", "line 3: head of this person is already in line 2"),
        ("./film-000.jpg,1,head,1,2", "line 3: head of this person is already in line 2"),
        ("nobody.jpg,1,head,1,2", "line 3: nobody.jpg is not one of"),
        ("../film-000.jpg,1,neck,1,2", "line 3, column 'image'"),
        (",1,neck,1,2", "line 3, column 'image'"),
        ("film-000.jpg,2,neck,1,2", "line 3: column 'person' must be 1 (the only annotated test person)"),
        ("film-000.jpg,0,neck,1,2", "line 3: column 'person'"),
        ("film-000.jpg,1.5,neck,1,2", "line 3: column 'person'"),
        ("film-000.jpg,99999999999999999999,neck,1,2", "line 3: column 'person'"),
        ("film-000.jpg,,neck,1,2", "line 3: column 'person' is empty"),
        ("film-000.jpg,1,left_knee,1,2", "line 3: no joint 'left_knee'; there are head, "),
        ("film-000.jpg,1,torso_1,1,2", "line 3: no joint 'torso_1'"),
        ("film-000.jpg,1,,1,2", "line 3: no joint ''"),
        ("film-000.jpg,1,neck,one,2", "line 3: column 'x' must be a number"),
        ("film-000.jpg,1,neck,1,1_0", "line 3: column 'y' must be a number"),
        ("film-000.jpg,1,neck,inf,2", "line 3: column 'x' must be a number"),
        ("film-000.jpg,1,neck,1,-Infinity", "line 3: column 'y' must be a number"),
        ("film-000.jpg,1,neck,1e300,2", "line 3: x and y must be numbers of pixels"),
        ("film-000.jpg,1,neck,1e999,2", "line 3: x and y must be numbers of pixels"),
        ("film-000.jpg,1,neck,1,", "line 3: one of x and y is missing"),
        ("film-000.jpg,1,neck,nan,3", "line 3: one of x and y is missing"),
        ("film-000.jpg,1,neck,1", "line 3: 4 cells"),
        ('film-000.jpg,1,"neck,1,2', "line 3"),
    ],
)
def test_a_damaged_line_is_refused(tmp_path: Path, line: str, word: str) -> None:
    path = write(tmp_path / "a.csv", HEAD, "film-000.jpg,1,head,1,2", line)
    message = refusal(lambda: CsvReader()(path, joint_truth(1)))
    assert f"{path}, {word}" in message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (f"{HEAD}\n".encode(), "no lines below its header"),
        (f"{HEAD}\nfilm-000.jpg,1,head,1,2".encode(), "cut off"),
        (f"{HEAD}\nf\xfclm.jpg,1,head,1,2\n".encode("latin-1"), "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not UTF-8"),
        (b"image;person;joint;x;y\na;1;head;1;2\n", "semicolons"),
        (b"image,person,joint,x\na,1,head,1\n", "no column 'y'"),
        (b"image,person,joint,x,y,x\na,1,head,1,2,1\n", "the column 'x' appears twice"),
        (f"{HEAD},window_x0\na,1,head,1,2,1\n".encode(), "no column 'window_y0'"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    message = refusal(lambda: CsvReader()(path, joint_truth(1)))
    assert message.startswith(str(path)) and word in message


@pytest.mark.parametrize(
    "options",
    [
        {"origin": 2}, {"origin": True}, {"origin": "1"}, {"match": "box"}, {"allow_missing": "yes"},
        {"allow_unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_no_use_are_refused(options: dict[str, Any]) -> None:
    assert refusal(lambda: CsvReader(**options)).startswith(f"predictions_form.{next(iter(options))}: must be ")


def test_people_are_found_by_their_windows(tmp_path: Path) -> None:
    """Numbered by whoever found them: the best window above an IoU of 0.5 is the person, the others are nobody."""
    truth = stick_truth()
    sticks = [f"{name}_{end}" for name in truth.sticks for end in (1, 2)]

    def lines(image: str, number: int, place: int, box: str) -> list[str]:
        return [f"{image},{number},{name},{place},{place + i}{box}" for i, name in enumerate(sticks)]

    rows = [
        *lines(IMAGES[0], 1, 10, window(0, 23)),  # IoU of 0.49
        *lines(IMAGES[1], 1, 20, window(1, 20)),  # 0.54, but number 4 fits better
        *lines(IMAGES[1], 2, 30, window(2)),
        *lines(IMAGES[1], 3, 40, window(2, 500)),
        *lines(IMAGES[1], 4, 50, window(1, -3)),
        *lines(IMAGES[3], 7, 60, window(3, 22)),  # 0.504
    ]
    path = write(tmp_path / "a.csv", WINDOWED, *rows)
    found = CsvReader()(path, truth)
    assert found.detected.tolist() == [False, True, True, True]
    assert np.isnan(found.sticks_px[0]).all()
    assert found.sticks_px[:, 0, 0, 0].tolist()[1:] == [50, 30, 60]
    assert found.missing == "1 of 4 people not found, 0 of them in images without a line; 3 found who are not annotated"
    assert "line 38: column 'person'" in refusal(lambda: CsvReader(match="person")(path, truth))


def test_two_annotations_almost_in_one_place(tmp_path: Path) -> None:
    """Each has who fits it best; where one alone is found, it is of both, as FLIC annotates some people twice."""
    truth = joint_truth(2, windows=True)
    object.__setattr__(truth, "images", ("a.jpg", "a.jpg"))
    truth.window_px[1] += 3
    rows = ["a.jpg,1,head,5,6,14,24,94,114", "a.jpg,2,head,7,8,10,20,90,120"]
    found = CsvReader()(write(tmp_path / "a.csv", WINDOWED, *rows), truth)
    assert found.joints_px is not None and found.joints_px[:, 0].tolist() == [[7, 8], [5, 6]]
    found = CsvReader()(write(tmp_path / "b.csv", WINDOWED, rows[0]), truth)
    assert found.detected.tolist() == [True, True] and "nobody" not in found.missing


def test_found_without_a_pose_is_found(tmp_path: Path) -> None:
    truth = joint_truth(2, windows=True)
    path = write(tmp_path / "a.csv", WINDOWED, "film-001.jpg,1,head,,,10,20,90,110")
    found = CsvReader()(path, truth)
    assert found.detected.tolist() == [False, True] and "1 of them in images without a line" in found.missing


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("film-000.jpg,1,neck,1,2,10,20,90,111", "line 3: the window is not that of line 2"),
        ("film-000.jpg,2,neck,1,2,90,20,10,110", "line 3: columns window_x0"),
        ("film-000.jpg,2,neck,1,2,,,,", "line 3: columns window_x0"),
        ("film-000.jpg,2,neck,1,2,10,20,90,inf", "line 3: column 'window_y1'"),
        ("film-000.jpg,1,head,1,2,10,20,90,110", "line 3: head of this person"),
    ],
)
def test_damaged_windows_are_refused(tmp_path: Path, line: str, word: str) -> None:
    path = write(tmp_path / "a.csv", WINDOWED, "film-000.jpg,1,head,1,2,10,20,90,110", line)
    assert f"{path}, {word}" in refusal(lambda: CsvReader()(path, joint_truth(1, windows=True)))


def test_nobody_is_an_answer(tmp_path: Path) -> None:
    """What hmlpe-predict writes where it finds nobody, and where it finds people in other images alone."""
    truth = stick_truth()
    for number, lines in enumerate([[], ["train.jpg,1,head,1,2,10,20,90,110"]]):
        path = write(tmp_path / f"{number}.csv", WINDOWED, *lines)
        found = CsvReader(allow_unknown=True)(path, truth)
        assert not found.detected.any() and found.joints_px is not None and found.confidence is None
        assert np.isnan(found.joints_px).all() and np.isnan(found.sticks_px).all()
        assert found.missing.startswith("4 of 4 people not found, 4 of them in images without a line")
        assert ("lines of 1 other images left out" in found.missing) == bool(lines) and "no head" not in found.missing
    message = refusal(lambda: CsvReader(match="person")(tmp_path / "0.csv", truth))
    assert "0.csv: there are no lines below its header" in message


def test_windows_need_windows_of_the_truth(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", WINDOWED, "film-000.jpg,1,head,1,2,10,20,90,110")
    message = refusal(lambda: CsvReader()(path, joint_truth(1)))
    assert "people of flic have no upper-body windows" in message and "predictions_form.match=person" in message
    found = CsvReader(match="person")(path, joint_truth(1))
    assert found.joints_px is not None and found.joints_px[0, 0].tolist() == [1, 2]


@pytest.mark.parametrize("value", ["1.01", "-0.1", "high"])
def test_confidence_is_kept_or_refused(tmp_path: Path, value: str) -> None:
    truth = joint_truth(1)
    good = write(tmp_path / "a.csv", f"{HEAD},confidence", "film-000.jpg,1,neck,1,2,0.25", "film-000.jpg,1,head,1,2,")
    found = CsvReader()(good, truth)
    assert found.confidence is not None and found.confidence[0, 2] == 0.25 and np.isfinite(found.confidence).sum() == 1
    bad = write(tmp_path / "b.csv", f"{HEAD},confidence", f"film-000.jpg,1,neck,1,2,{value}")
    assert "line 2: column 'confidence'" in refusal(lambda: CsvReader()(bad, truth))


def test_what_hmlpe_predict_writes_is_read(tmp_path: Path) -> None:
    from hmlpe.predict.estimator import ModelCard
    from hmlpe.predict.people import FoundPerson
    from hmlpe.predict.pose_files import PoseFiles

    truth = stick_truth()
    card = ModelCard("study/row_s1", SKELETON, 112, {}, (1.7, 0.0, 2.2), ("regression",), {})
    people = [
        FoundPerson(truth.window_px[i], 0.5, truth.window_px[i], truth.joints_px[i], np.full(8, 0.125), None)
        for i in range(4)
    ]
    with PoseFiles(tmp_path, card, "given boxes", tmp_path) as files:
        files.add(IMAGES[0], 720, 405, [])
        files.add(IMAGES[1], 720, 405, [people[2], people[1]])
        files.add(IMAGES[3], 720, 405, [people[3]])
    found = CsvReader()(tmp_path / "poses.csv", truth)
    assert found.joints_px is not None and found.confidence is not None
    assert found.detected.tolist() == [False, True, True, True]
    np.testing.assert_allclose(found.joints_px[1:], truth.joints_px[1:], atol=0.006)
    assert (found.confidence[1:] == 0.125).all() and np.isnan(found.confidence[0]).all()


@given(
    values=st.lists(st.floats(-1e4, 1e4), min_size=16, max_size=16),
    order=st.permutations(range(8)),
    origin=st.integers(0, 1),
)
def test_every_number_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], order: list[int], origin: int
) -> None:
    truth = joint_truth(1)
    points = np.array(values).reshape(8, 2)
    rows = [
        f"film-000.jpg,1,{SKELETON.joints[i]},{points[i, 0]!r},{points[i, 1]!r}".replace("np.float64(", "").replace(
            ")", ""
        )
        for i in order
    ]
    path = write(tmp_path_factory.getbasetemp() / "every.csv", HEAD, *rows)
    found = CsvReader(origin=origin)(path, truth)
    np.testing.assert_array_equal(found.joints_px, points[None] - origin)

"""Results in the Buffy tool's form: which stickman is whose, and every damage refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from hmlpe.evaluate.predictions import BuffyToolReader

from .prediction_truth import joint_truth, refusal, stick_truth

NAN = float("nan")
FRAMES = ((2, 10), (2, 20), (5, 20))
Record = dict[str, Any]


def stickman(person: int, shift: float = 0, mark: float = 0, **changes: Any) -> Record:
    """The true sticks of a person moved down by `mark`, in MATLAB's pixels; its window moved to the right."""
    truth = stick_truth()
    coor = truth.sticks_px[person].reshape(6, 4).T + 1 + np.array([[0], [mark], [0], [mark]])
    return {"coor": coor, "det": truth.window_px[person] + 1 + np.array([shift, 0, shift, 0]), **changes}


def struct(records: Sequence[Record]) -> np.ndarray:
    array = np.empty((1, len(records)), dtype=[(name, object) for name in records[0]])
    for i, record in enumerate(records):
        array[0, i] = tuple(record.values())
    return array


def records(*stickmen: Any) -> list[Record]:
    """A record for each frame, in this order of fields; a list of stickmen becomes a struct array."""
    men = [struct(one) if isinstance(one, list) else one for one in stickmen]
    return [{"stickmen": one, "frame": f, "episode": e} for one, (e, f) in zip(men, FRAMES, strict=True)]


def whole() -> list[Record]:
    return records([stickman(0)], [stickman(2), stickman(1)], [stickman(3)])


def write(path: Path, rows: Sequence[Record], name: str = "mine", **more: Any) -> Path:
    scipy.io.savemat(path, {name: struct(rows), **more})
    return path


def test_of_several_stickmen_the_best_window_is_the_estimate(tmp_path: Path) -> None:
    """The IoU of the windows passes 0.5 at a shift of 22.2."""
    truth = stick_truth()
    rows = records(
        [stickman(0, 23, 9), stickman(0, -23, 9)],
        [stickman(2, 5, 1), stickman(1, 20, 9), stickman(1, -4, 2), stickman(2, 500, 9), stickman(2, -6, 9)],
        [stickman(3, 22, 3)],
    )
    found = BuffyToolReader()(write(tmp_path / "a.mat", rows), truth)
    assert found.joints_px is None and found.detected.tolist() == [False, True, True, True]
    assert np.isnan(found.sticks_px[0]).all() and found.missing == "1 of 4 people not found"
    for person, mark in ((1, 2), (2, 1), (3, 3)):
        np.testing.assert_allclose(found.sticks_px[person], truth.sticks_px[person] + [0, mark])


@pytest.mark.parametrize(
    "nobody",
    [
        np.zeros((1, 0)),
        np.zeros((0, 0), dtype=np.uint8),
        np.empty((0, 0), dtype=[("coor", object), ("det", object)]),
        [{"coor": np.zeros((0, 0)), "det": np.zeros((0, 0))}],
    ],
    ids=["1x0", "0x0", "no structs", "an empty struct"],
)
def test_frames_without_a_detection(tmp_path: Path, nobody: Any) -> None:
    rows = records(nobody, [stickman(2)], nobody)
    found = BuffyToolReader()(write(tmp_path / "a.mat", rows), stick_truth())
    assert found.detected.tolist() == [False, False, True, False] and found.missing == "3 of 4 people not found"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_other_types_of_numbers(tmp_path: Path, dtype: type) -> None:
    """Unsigned boxes must not wrap around when they are moved or multiplied."""
    truth = stick_truth()
    rows = records([{name: value.astype(dtype) for name, value in stickman(0).items()}], [stickman(1)], [stickman(3)])
    found = BuffyToolReader()(write(tmp_path / "a.mat", rows), truth)
    assert found.detected.tolist() == [True, True, False, True]
    np.testing.assert_allclose(found.sticks_px[0], truth.sticks_px[0])


def test_a_stick_that_is_not_predicted(tmp_path: Path) -> None:
    coor = stickman(0)["coor"].copy()
    coor[:, 5] = NAN
    rows = records([stickman(0, coor=coor)], [stickman(1), stickman(2)], [stickman(3)])
    found = BuffyToolReader()(write(tmp_path / "a.mat", rows), stick_truth())
    assert found.detected.all() and found.missing == ""
    assert np.isnan(found.sticks_px[0, 5]).all() and np.isfinite(found.sticks_px[0, :5]).all()


def test_settings(tmp_path: Path) -> None:
    """A variable by name, pixels counted from 0, and images of another name."""
    truth = stick_truth()
    object.__setattr__(truth, "images", tuple(name.replace("_original/", "-") for name in truth.images))
    path = write(tmp_path / "a.mat", whole(), other=struct(whole()), note="text", numbers=np.zeros((2, 3)))
    reader = BuffyToolReader("mine", "buffy_s5e{episode}-{frame:06d}.jpg", origin=0)
    np.testing.assert_allclose(reader(path, truth).sticks_px, truth.sticks_px + 1)
    assert "found mine, other;" in refusal(lambda: BuffyToolReader()(path, stick_truth()))
    assert "no variable 'his'; there are mine, other" in refusal(lambda: BuffyToolReader("his")(path, stick_truth()))
    assert "record 1" in refusal(lambda: BuffyToolReader("numbers")(path, stick_truth()))
    assert "no struct" not in refusal(lambda: BuffyToolReader("note")(path, stick_truth()))


@pytest.mark.parametrize(
    "options",
    [{"image": "{scene}.jpg"}, {"image": "{frame:q}"}, {"variable": 3}, {"origin": 7}, {"allow_missing": None}],
    ids=str,
)
def test_settings_of_no_use_are_refused(options: dict[str, Any]) -> None:
    assert refusal(lambda: BuffyToolReader(**options)).startswith(f"predictions_form.{next(iter(options))}: must be ")


def test_records_that_are_missing_are_refused_or_missed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", [whole()[0], whole()[2]])
    message = refusal(lambda: BuffyToolReader()(path, stick_truth()))
    assert "a.mat: no record for 2 of 4 test people, the first is person 1 of buffy_s5e2_original/000020.jpg" in message
    assert "predictions_form=buffy predictions_form.allow_missing=true" in message
    found = BuffyToolReader(allow_missing=True)(path, stick_truth())
    assert found.detected.tolist() == [True, False, False, True]
    assert found.missing == "2 of 4 people not found; no record for 2 of them"


def test_records_of_other_frames_are_refused_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", [*whole(), {**whole()[0], "episode": 3}])
    message = refusal(lambda: BuffyToolReader()(path, stick_truth()))
    assert "a.mat, record 4: buffy_s5e3_original/000010.jpg is not one of the 3 test images of buffy" in message
    found = BuffyToolReader(allow_unknown=True)(path, stick_truth())
    assert found.detected.all() and found.missing == "1 records of other images left out"


def only(**changes: Any) -> list[Record]:
    """The first record's only stickman is changed."""
    return changed(1, stickmen=struct([stickman(0, **changes)]))


def changed(record: int, **changes: Any) -> list[Record]:
    return [{**one, **(changes if i == record - 1 else {})} for i, one in enumerate(whole())]


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([*whole(), whole()[1]], "record 4: episode 2, frame 20 already has record 2"),
        (changed(2, frame=20.5), "record 2: field 'frame' must be a whole number"),
        (changed(2, frame=-20), "record 2: field 'frame'"),
        (changed(2, frame=NAN), "record 2: field 'frame'"),
        (changed(3, episode="five"), "record 3: field 'episode'"),
        (changed(3, episode=np.zeros((1, 2))), "record 3: field 'episode'"),
        (changed(1, stickmen=np.ones((1, 2))), "record 1, stickman 1: field 'coor' is missing"),
        (changed(1, stickmen="none"), "record 1, stickman 1: field 'coor' is missing"),
        (changed(2, stickmen=struct([{"coor": np.zeros((4, 6))}])), "record 2, stickman 1: field 'det' is missing"),
        (
            changed(1, stickmen=struct([stickman(0), stickman(0, coor=np.zeros((6, 4)))])),
            "record 1, stickman 2: field 'coor' must be of shape (4, 6)",
        ),
        (only(coor=np.zeros((4, 10))), "record 1, stickman 1: field 'coor'"),
        (only(coor=np.zeros((0, 0))), "record 1, stickman 1: field 'coor'"),
        (only(coor="sticks"), "record 1, stickman 1: field 'coor'"),
        (only(coor=np.full((4, 6), np.inf)), "record 1, stickman 1, field 'coor': x and y"),
        (only(coor=np.array([[NAN] * 6, *[[1.0] * 6] * 3])), "field 'coor': one of x and y"),
        (only(det=np.array([1.0, 2, 3])), "record 1, stickman 1: field 'det'"),
        (only(det=np.array([5.0, 2, 3, 4])), "field 'det' must be a box"),
        (only(det=np.array([1.0, 2, NAN, 4])), "field 'det' must be a box"),
        (only(det=np.array([1.0, 2, np.inf, 4])), "field 'det' must be a box"),
    ],
)  # fmt: skip
def test_damaged_records_are_refused(tmp_path: Path, rows: list[Record], word: str) -> None:
    path = write(tmp_path / "a.mat", rows)
    message = refusal(lambda: BuffyToolReader()(path, stick_truth()))
    assert message.startswith(str(path)) and word in message


def test_a_set_without_the_six_sticks_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", whole())
    assert "do not fit flic" in refusal(lambda: BuffyToolReader()(path, joint_truth()))


@pytest.mark.parametrize("content", [b"", b"no matlab", b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + b" " * 500])
def test_what_is_no_mat_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    message = refusal(lambda: BuffyToolReader()(path, stick_truth()))
    assert message.startswith(str(path)) and ("-v7" in message) == content.startswith(b"MATLAB 7.3")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_cut_file_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "a.mat", whole())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert refusal(lambda: BuffyToolReader()(path, stick_truth())).startswith(str(path))

"""Predictions as an array of 2 x joints x people."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from hmlpe.evaluate.predictions import MatrixReader
from hmlpe.evaluate.predictions.matrix import AXES

from .prediction_truth import SKELETON, joint_truth, refusal

NAN = float("nan")
PLACES = {joint: i + 2 for i, joint in enumerate(SKELETON.joints)}  # the first of nine is of no joint


def arrays(people: int) -> np.ndarray:
    """(2, 9, people) the true joints at PLACES, in MATLAB's pixels."""
    points = joint_truth(people).joints_px.transpose(2, 1, 0) + 1
    return np.concatenate([np.full((2, 1, people), 77.0), points], axis=1)


def write(path: Path, **variables: Any) -> Path:
    scipy.io.savemat(path, variables)
    return path


@pytest.mark.parametrize("people", [1, 2, 5])  # MATLAB drops a last axis of length 1
@pytest.mark.parametrize("axes", list(permutations(AXES)))
def test_axes_in_any_order_that_is_said(tmp_path: Path, people: int, axes: tuple[str, ...]) -> None:
    array = arrays(people).transpose([AXES.index(axis) for axis in axes])
    if array.shape[-1] == 1:
        array = array[..., 0]
    path = write(tmp_path / "a.mat", predictions=array, note="text")
    found = MatrixReader(PLACES, "predictions", list(axes))(path, joint_truth(people))
    assert found.joints_px is not None and found.missing == "" and found.detected.all()
    np.testing.assert_allclose(found.joints_px, joint_truth(people).joints_px)
    np.testing.assert_allclose(found.sticks_px, joint_truth(people).sticks_px)


def test_the_only_array_some_joints_and_means(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", pred=arrays(3).astype(np.float32), flat=np.zeros((2, 3)), note="text")
    found = MatrixReader({"left_elbow": 6, "neck": [3, 5]}, origin=0)(path, joint_truth(3))
    truth = joint_truth(3).joints_px + 1
    assert found.joints_px is not None
    np.testing.assert_allclose(found.joints_px[:, 4], truth[:, 4])
    np.testing.assert_allclose(found.joints_px[:, 2], (truth[:, 1] + truth[:, 3]) / 2)
    assert np.isnan(found.joints_px[:, [0, 1, 3, 5, 6, 7]]).all()
    assert found.missing == "no head, left_shoulder, right_shoulder, right_elbow, left_wrist, right_wrist"


def test_people_without_a_prediction(tmp_path: Path) -> None:
    array = arrays(3)
    array[:, :, 1] = NAN
    found = MatrixReader(PLACES)(write(tmp_path / "a.mat", pred=array), joint_truth(3))
    assert found.detected.tolist() == [True, False, True]


@pytest.mark.parametrize("people", [2, 4])
def test_another_number_of_people_is_refused(tmp_path: Path, people: int) -> None:
    path = write(tmp_path / "a.mat", pred=arrays(people))
    message = refusal(lambda: MatrixReader(PLACES)(path, joint_truth(3)))
    assert f"{path}, variable pred: {people} people, flic has 3 annotated test people" in message


def spoilt(value: float, both: bool = True) -> np.ndarray:
    array = arrays(3)
    array[slice(None) if both else 0, 4, 2] = value
    return array


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (spoilt(np.inf), "person 3, place 5: x and y must be numbers"),
        (spoilt(1e200), "person 3, place 5"),
        (spoilt(NAN, both=False), "person 3, place 5: one of x and y"),
        (arrays(3).transpose(1, 0, 2), "axis of x and y must have length 2"),
        (arrays(3)[..., None].repeat(2, axis=-1), "must be a numeric array with the axes xy, joint, person"),
        (arrays(3) * 1j, "must be a numeric array"),
        ("text", "must be a numeric array"),
        (np.zeros((2, 9, 0)), "0 people"),
    ],
)
def test_a_damaged_array_is_refused(tmp_path: Path, array: Any, word: str) -> None:
    path = write(tmp_path / "a.mat", pred=array)
    message = refusal(lambda: MatrixReader(PLACES, "pred")(path, joint_truth(3)))
    assert message.startswith(f"{path}, variable pred") and word in message


def test_which_array_must_be_plain(tmp_path: Path) -> None:
    two = write(tmp_path / "two.mat", one=arrays(3), other=arrays(3))
    assert "found one, other; name it" in refusal(lambda: MatrixReader(PLACES)(two, joint_truth(3)))
    assert "no variable 'his'" in refusal(lambda: MatrixReader(PLACES, "his")(two, joint_truth(3)))
    none = write(tmp_path / "none.mat", note="text")
    assert "found none" in refusal(lambda: MatrixReader(PLACES)(none, joint_truth(3)))


def test_joints_must_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", pred=arrays(3))
    message = refusal(lambda: MatrixReader({"left_wrist": 10})(path, joint_truth(3)))
    assert message == f"predictions_form.joints.left_wrist: no place 10 in {path}, which has 9"
    message = refusal(lambda: MatrixReader({"left_knee": 1})(path, joint_truth(3)))
    assert message.startswith("predictions_form.joints: no joint 'left_knee'")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "joints"),
        ({"joints": {}}, "joints"),
        ({"joints": [1, 2]}, "joints"),
        ({"joints": {"head": 0}}, "joints.head"),
        ({"joints": {"head": True}}, "joints.head"),
        ({"joints": {"head": "1"}}, "joints.head"),
        ({"joints": {"head": []}}, "joints.head"),
        ({"joints": {"head": [1, 1.5]}}, "joints.head"),
        ({"joints": PLACES, "axes": ["xy", "joint"]}, "axes"),
        ({"joints": PLACES, "axes": ["xy", "xy", "person"]}, "axes"),
        ({"joints": PLACES, "axes": None}, "axes"),
        ({"joints": PLACES, "origin": 2}, "origin"),
        ({"joints": PLACES, "variable": ""}, "variable"),
    ],
    ids=str,
)
def test_settings_of_no_use_are_refused(options: dict[str, Any], key: str) -> None:
    assert refusal(lambda: MatrixReader(**options)).startswith(f"predictions_form.{key}: must ")

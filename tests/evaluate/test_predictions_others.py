"""Files that others really have: of another kind, arrays that are no array, joints given twice, nobody matched."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from hmlpe.data.sources.matlab import read_struct_array
from hmlpe.errors import UserError
from hmlpe.evaluate.predictions import BuffyToolReader, CsvReader, MatrixReader, read_predictions
from hmlpe.evaluate.settings import EvaluateSettings

from . import test_predictions_buffy_tool as tool
from .conftest import CONF
from .prediction_truth import joint_lines, joint_truth, refusal, stick_lines, stick_truth, write

HEAD = "image,person,joint,x,y"
WINDOWS = "window_x0,window_y0,window_x1,window_y1"
ARRAY = np.zeros((2, 8, 3))


def numpy_file(path: Path) -> None:
    with path.open("wb") as file:  # by a name numpy would add its ending
        np.save(file, ARRAY)


def numpy_archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, pred=ARRAY)


KINDS = {
    "a NumPy array": (numpy_file, "scipy.io.savemat('a.mat', {'pred': numpy.load("),
    "a zip archive": (numpy_archive, "dict(numpy.load("),
    "HDF5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500)), "h5py.File("),
    "a MATLAB 7.3 .mat file": (lambda path: path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(600)), "'-v7'"),
    "a Python pickle": (lambda path: path.write_bytes(pickle.dumps(ARRAY)), "savemat("),
    "JSON": (lambda path: path.write_text('{"pred": []}'), "savemat("),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_called_so_and_how_it_is_converted(tmp_path: Path, kind: str) -> None:
    """Whatever its name, and whoever reads it; nobody is told to fetch a whole file again."""
    make, way = KINDS[kind]
    truth = joint_truth(3)
    for name, read in (
        ("a.npy", lambda path: read_predictions(path, truth, None)),
        ("a.mat", lambda path: read_predictions(path, truth, None)),
        ("a.dat", lambda path: MatrixReader({"head": 1})(path, truth)),
        ("a.mat", lambda path: BuffyToolReader()(path, stick_truth())),
        ("a.csv", lambda path: CsvReader()(path, truth)),
        ("a.mat", lambda path: read_struct_array(path, "examples")),
    ):
        path = tmp_path / name
        make(path)
        message = refusal(lambda read=read, path=path: read(path))
        assert message.startswith(f"{path}: ") and kind in message and way in message and "fetch" not in message


def cell(*values: Any) -> np.ndarray:
    array = np.empty((1, len(values)), dtype=object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (cell(*[np.ones((2, 8))] * 3), ("pred, a cell array 1 x 3", "pred = cat(3, pred{:})")),
        (
            tool.struct([{"points": np.ones((2, 8))}] * 3),
            ("pred, a struct array 1 x 3 with the fields points", "FIELD"),
        ),
        (np.ones((3, 16)), ("pred, a table of numbers 3 x 16", "pred = reshape(pred', 2, [], size(pred, 1))")),
        (np.ones((3, 15)), ("pred, a table of numbers 3 x 15",)),
        ("text", ("pred, a text",)),
    ],
    ids=["cell", "struct", "table", "odd table", "text"],
)
def test_what_is_no_array_of_three_axes_is_named(tmp_path: Path, value: Any, words: tuple[str, ...]) -> None:
    """By whoever looks for one: the file's form, the only array, or the named one."""
    scipy.io.savemat(tmp_path / "a.mat", {"pred": value})
    readers = (None, MatrixReader({"head": 1}), MatrixReader({"head": 1}, "pred"))
    for form in readers:
        message = refusal(lambda form=form: read_predictions(tmp_path / "a.mat", joint_truth(3), form))
        assert message.startswith(f"{tmp_path / 'a.mat'}")
        assert all(word.replace("1 x 3", "3" if form is None else "1 x 3") in message for word in words), message


def test_the_conversions_that_are_named_work(tmp_path: Path) -> None:
    """What numpy's file becomes by the line that the message gives, and MATLAB's reshape, are read."""
    truth = joint_truth(3)
    points = truth.joints_px.transpose(2, 1, 0)  # 2 x joints x people
    np.save(tmp_path / "a.npy", points)
    scipy.io.savemat(tmp_path / "a.mat", {"pred": np.load(tmp_path / "a.npy")})
    places = {joint: i + 1 for i, joint in enumerate(truth.skeleton.joints)}
    found = MatrixReader(places, origin=0)(tmp_path / "a.mat", truth).joints_px
    np.testing.assert_allclose(found, truth.joints_px)
    rows = truth.joints_px.reshape(3, 16)  # x1 y1 x2 y2 ... of a person
    scipy.io.savemat(tmp_path / "b.mat", {"pred": rows.T.reshape((2, -1, 3), order="F")})  # as MATLAB's reshape does
    np.testing.assert_allclose(MatrixReader(places, origin=0)(tmp_path / "b.mat", truth).joints_px, truth.joints_px)


@pytest.mark.parametrize(
    ("joints", "words"),
    [
        ({"left_elbow": 2, "right_elbow": 2}, "place 2 is given to left_elbow and to right_elbow"),
        ({"neck": [1, 4], "head": [4, 1]}, "place 4, 1 is given to neck and to head"),
        ({"neck": [1, 1]}, "a list of different ones"),
    ],
)
def test_a_place_is_one_joints(joints: dict[str, Any], words: str) -> None:
    message = refusal(lambda: MatrixReader(joints))
    assert message.startswith("predictions_form.joints") and words in message
    MatrixReader({"neck": [1, 4], "left_shoulder": 1})  # a mean may share it


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+predictions_form.joints={left_elbow: 2}", "predictions_form=matrix"),
        ("+predictions_form.origin=0", "predictions_form=csv"),
        ("+detector.file=boxes.csv", "detector=given"),
    ],
)
def test_settings_of_a_choice_without_the_choice(tmp_path: Path, override: str, words: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", ["predictions=x.mat", f"out={tmp_path}", override])
    message = refusal(lambda: EvaluateSettings.from_config(config))
    assert message.startswith(override[1:].partition("=")[0].partition(".")[0]) and words in message


def test_a_stickman_without_det_has_the_window_that_the_tool_derives(tmp_path: Path) -> None:
    """Absent in all, or empty in one; pixels are counted from 1."""
    truth = stick_truth()
    coors = [{"coor": tool.stickman(person)["coor"]} for person in (0, 2, 1, 3)]
    rows = tool.records([coors[0]], [coors[1], coors[2]], [coors[3]])
    empty = tool.records([tool.stickman(0, det=np.zeros((0, 0)))], [tool.stickman(2), tool.stickman(1)], [coors[3]])
    for made, number in ((rows, 4), (empty, 2)):
        found = BuffyToolReader()(tool.write(tmp_path / "a.mat", made), truth)
        assert found.detected.all() and f"windows of {number} stickmen without det" in found.missing
        np.testing.assert_allclose(found.sticks_px, truth.sticks_px)
    headless = coors[0]["coor"].copy()
    headless[:, 5] = np.nan
    path = tool.write(tmp_path / "a.mat", tool.records([{"coor": headless}], [coors[1]], [coors[3]]))
    message = refusal(lambda: BuffyToolReader()(path, truth))
    assert "record 1, stickman 1: field 'det' is missing" in message


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_nobody_matched_is_told_by_the_windows(tmp_path: Path, scale: float) -> None:
    """Buffy at half scale: not that no stick is annotated, but how large the windows are."""
    truth = stick_truth()
    men = [{name: (value - 1) * scale + 1 for name, value in tool.stickman(person).items()} for person in (0, 1, 2, 3)]
    path = tool.write(tmp_path / "a.mat", tool.records([men[0]], [men[1], men[2]], [men[3]]))
    windows = [truth.window_px[person] * scale for person in range(4)]
    lines = stick_lines(truth, range(4), lambda person: "," + ",".join(f"{value:.17g}" for value in windows[person]))
    table = write(tmp_path / "a.csv", f"{HEAD},{WINDOWS}", *lines)
    for file in (path, table):
        message = refusal(lambda file=file: read_predictions(file, truth, None))
        assert message.startswith(f"{file}: none of 4 test people of buffy is found") and "stick is" not in message
        assert f"{scale:g} times as large" in message


def test_a_file_that_predicts_nothing_is_refused(tmp_path: Path) -> None:
    truth = joint_truth(3)
    lines = [line.rsplit(",", 2)[0] + ",nan,nan" for line in joint_lines(truth, range(3))]
    table = write(tmp_path / "a.csv", HEAD, *lines)
    scipy.io.savemat(tmp_path / "a.mat", {"pred": np.full((2, 8, 3), np.nan)})
    headless = np.full((4, 6), np.nan)
    men = [[tool.stickman(person, coor=headless)] for person in (0, 1, 3)]
    sticks = tool.write(tmp_path / "b.mat", tool.records(*men))
    for file, of, form in (
        (table, truth, None),
        (tmp_path / "a.mat", truth, MatrixReader({"head": 1})),
        (sticks, stick_truth(), None),
    ):
        message = refusal(lambda file=file, of=of, form=form: read_predictions(file, of, form))
        assert message.startswith(str(file)) and "predicts nothing" in message


def test_lsp_joints_are_those_of_the_set() -> None:
    """An array in LSP's order gives what the reader of LSP makes of it, the head from two joints."""
    from hmlpe.data.sources.lsp import JOINTS

    with initialize_config_dir(str(CONF), version_base="1.3"):
        form = instantiate(compose("train", ["+predictions_form=lsp_joints"]).predictions_form)
    assert isinstance(form, MatrixReader)
    own = {joint: [JOINTS.index(joint) + 1] for joint in form.columns if joint != "head"}
    assert form.columns == {**own, "head": [JOINTS.index("neck") + 1, JOINTS.index("head_top") + 1]}
    assert set(form.columns) == set(joint_truth(1).skeleton.joints)


def test_a_setting_that_holds_none_is_no_traceback(tmp_path: Path) -> None:
    for word in ("bootstrap=null", "confidence=5", "confidence.groups=5"):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("evaluate", ["predictions=x.mat", f"out={tmp_path}", word])
        with pytest.raises(UserError, match=word.partition("=")[0].partition(".")[0]):
            EvaluateSettings.from_config(config)

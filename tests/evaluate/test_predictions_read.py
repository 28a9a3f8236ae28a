"""Which reader a file gets, by itself and by configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from hmlpe.evaluate.predictions import BuffyToolReader, CsvReader, MatrixReader, Reader, choose_reader, read_predictions

from . import test_predictions_buffy_tool as buffy_tool
from .conftest import CONF
from .prediction_truth import joint_lines, joint_truth, refusal, stick_truth, write


def configured(*overrides: str) -> Reader:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[f"+{overrides[0]}", *overrides[1:]])
    reader = instantiate(config.predictions_form)
    assert isinstance(reader, Reader)
    return reader


def test_forms_that_are_plain(tmp_path: Path) -> None:
    truth = joint_truth()
    path = write(tmp_path / "a.CSV", "image,person,joint,x,y", *joint_lines(truth, range(3)))
    assert isinstance(choose_reader(path), CsvReader)
    np.testing.assert_array_equal(read_predictions(path, truth, None).sticks_px, truth.sticks_px)
    path = buffy_tool.write(tmp_path / "a.mat", buffy_tool.whole())
    assert isinstance(choose_reader(path), BuffyToolReader)
    np.testing.assert_allclose(read_predictions(path, stick_truth(), None).sticks_px, stick_truth().sticks_px)


def test_forms_that_must_be_said(tmp_path: Path) -> None:
    truth = joint_truth()
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"pred": truth.joints_px.transpose(2, 1, 0) + 1})
    assert "predictions_form=matrix" in refusal(lambda: read_predictions(path, truth, None))
    form = configured("predictions_form=matrix", "predictions_form.joints={left_elbow: 5, neck: [2, 4]}")
    found = read_predictions(path, truth, form).joints_px
    assert found is not None
    np.testing.assert_allclose(found[:, 4], truth.joints_px[:, 4])


def test_flic_slots_are_those_of_the_set(tmp_path: Path) -> None:
    """An array of FLIC's 29 slots gives what the reader of FLIC makes of them."""
    from hmlpe.data.sources.flic import SLOTS

    truth = joint_truth()
    slots = np.full((2, 29, 3), np.nan)
    for joint, slot in SLOTS.items():
        if joint in truth.skeleton.joints:
            slots[:, slot - 1] = truth.joints_px[:, truth.skeleton.joints.index(joint)].T + 1
    scipy.io.savemat(tmp_path / "a.mat", {"pred": slots})
    form = configured("predictions_form=flic_slots")
    assert isinstance(form, MatrixReader)
    found = form(tmp_path / "a.mat", truth).joints_px
    assert found is not None
    expected = truth.joints_px.copy()
    expected[:, 2] = (expected[:, 1] + expected[:, 3]) / 2
    np.testing.assert_allclose(found, expected)


def test_settings_reach_the_readers() -> None:
    csv = configured("predictions_form=csv", "predictions_form.allow_missing=true", "predictions_form.origin=1")
    assert isinstance(csv, CsvReader) and csv.allow_missing and csv.origin == 1 and not csv.allow_unknown
    tool = configured("predictions_form=buffy", "predictions_form.variable=mine")
    assert isinstance(tool, BuffyToolReader) and tool.variable == "mine" and not tool.allow_missing


@pytest.mark.parametrize("name", ["a.txt", "a", "a.npz"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x", encoding="utf-8")
    assert "expected a .csv or .mat file" in refusal(lambda: choose_reader(tmp_path / name))


def test_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        assert f"{path}: no such file" in refusal(lambda path=path: read_predictions(path, joint_truth(), None))

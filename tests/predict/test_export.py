"""Exported files give what the checkpoint gives; what does not, never appears."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import hmlpe
from hmlpe.cli import export as cli
from hmlpe.errors import UserError
from hmlpe.predict import export as module
from hmlpe.predict.estimator import Poses
from hmlpe.predict.export import (
    FILES,
    TOLERANCE,
    ExportedFile,
    check_outputs,
    export,
    load_safetensors,
    open_exported,
    probe_crops,
    safetensors_bytes,
)
from hmlpe.predict.model import PoseModel
from hmlpe.predict.onnx_file import OnnxEstimator
from hmlpe.predict.open import open_estimator
from hmlpe.predict.trained import CheckpointEstimator, TorchEstimator, load_trained

CROPS = np.random.default_rng(3).integers(0, 256, (9, 112, 112, 3), dtype=np.uint8)


class Exported(NamedTuple):
    folder: Path
    checkpoint: Path
    written: list[ExportedFile]


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported") / "new"
    return Exported(folder, checkpoint, export(load_trained(checkpoint), folder, list(FILES)))


def assert_same(found: Poses, expected: Poses) -> None:
    np.testing.assert_allclose(found.joints_px / 112, expected.joints_px / 112, atol=1e-5, rtol=0)
    np.testing.assert_allclose(found.part_maps, expected.part_maps, atol=1e-5, rtol=0)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5, rtol=0)


def test_all_files_are_there_and_nothing_else(exported: Exported) -> None:
    assert sorted(path.name for path in exported.folder.iterdir()) == sorted(FILES.values())
    for one in exported.written:
        assert one.size == one.path.stat().st_size and one.deviation.largest <= TOLERANCE
        assert one.deviation.compared > 0.9


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [1, 2, 9])
def test_a_file_gives_what_the_checkpoint_gives(exported: Exported, name: str, size: int) -> None:
    poses = open_exported(exported.folder / FILES[name])(CROPS[:size])
    assert_same(poses, CheckpointEstimator(exported.checkpoint)(CROPS[:size]))
    assert poses.joints_px.shape == (size, 8, 2) and np.ptp(poses.confidence) > 0.01


@pytest.mark.parametrize("name", FILES)
def test_one_crop_is_estimated_as_among_others(exported: Exported, name: str) -> None:
    run = open_exported(exported.folder / FILES[name])
    together = run(CROPS)
    for row in range(len(CROPS)):
        assert_same(run(CROPS[row : row + 1]), Poses(*(values[row : row + 1] for values in together[:3])))


def test_every_file_carries_the_card(exported: Exported) -> None:
    card = load_trained(exported.checkpoint).card
    onnx, safetensors = (
        OnnxEstimator(exported.folder / FILES["onnx"]),
        load_safetensors(exported.folder / FILES["safetensors"]),
    )
    assert onnx.card == card == safetensors.card and onnx.fires is None
    extra = {"hmlpe": ""}
    torch.export.load(exported.folder / FILES["torch_export"], extra_files=extra)
    assert json.loads(extra["hmlpe"])["card"] == card.as_dict()


def test_safetensors_rebuild_the_very_same_network(exported: Exported) -> None:
    again = load_safetensors(exported.folder / FILES["safetensors"]).model.network.state_dict()
    own = load_trained(exported.checkpoint).model.network.state_dict()
    assert list(again) == list(own) and all(torch.equal(again[key], own[key]) for key in own)


def test_no_file_tells_of_the_machine_it_was_made_on(exported: Exported) -> None:
    for path in exported.folder.iterdir():
        content = path.read_bytes()
        assert str(Path(hmlpe.__file__).parent).encode() not in content, path.name
        assert str(Path(torch.__file__).parent).encode() not in content, path.name


def test_the_onnx_file_holds_all_and_names_its_first_axis(exported: Exported) -> None:
    import onnx

    proto = onnx.load(str(exported.folder / FILES["onnx"]), load_external_data=False)
    onnx.checker.check_model(proto, full_check=True)
    assert not [one for one in proto.graph.initializer if one.external_data]
    for value in (*proto.graph.input, *proto.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_net_without_detectors_and_with_other_layers(make_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    """The original's dropout and response normalisation; no detectors."""
    made = make_checkpoint("row=regression_only", "network.trunk.norm=lrn", "network.head.scaling=original")
    (written,) = export(load_trained(made), tmp_path / "out", ["onnx"])
    estimate = open_estimator(written.path)
    poses = estimate(CROPS)
    assert poses.part_maps is None and np.isnan(poses.confidence).all() and estimate.card.tasks == ("regression",)
    np.testing.assert_allclose(poses.joints_px, CheckpointEstimator(made)(CROPS).joints_px, atol=1e-3)


def test_a_file_that_differs_is_not_written(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = load_trained(checkpoint)
    other.model.network.head("detection").output_layer.bias.data[7] += 1e-3
    monkeypatch.setattr(module, "safetensors_bytes", lambda trained: safetensors_bytes(other))
    with pytest.raises(UserError, match=r"model.safetensors: its outputs differ .* nothing was written"):
        export(load_trained(checkpoint), tmp_path / "out", ["safetensors"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("spoilt", ["joints_px", "confidence", "part_maps", "nan", "no maps"])
def test_the_check_sees_every_output(checkpoint: Path, spoilt: str) -> None:
    trained = load_trained(checkpoint)
    run = TorchEstimator(trained)
    assert check_outputs("as it is", trained.model, run, 112).largest == 0

    def wrong(crops: np.ndarray) -> Poses:
        poses = run(crops)
        if spoilt == "no maps":
            return poses._replace(part_maps=None)
        if spoilt == "nan":
            return poses._replace(joints_px=poses.joints_px * np.float32(np.nan))
        values = getattr(poses, spoilt).copy()
        values[-1].flat[-1] += 0.01
        return poses._replace(**{spoilt: values})

    with pytest.raises(UserError, match="its outputs differ"):
        check_outputs("file", trained.model, wrong, 112)


def test_a_hard_threshold_is_checked_away_from_ties(checkpoint: Path) -> None:
    """Detectors that are all at the threshold: rounding decides, and the check says that it compared nothing."""
    trained = load_trained(checkpoint, fires=0.5)
    last = trained.model.network.head("detection").output_layer
    last.weight.data.zero_()
    last.bias.data.fill_(0.0)
    worst = check_outputs("file", trained.model, TorchEstimator(trained), 112)
    assert worst.compared == 0
    last.bias.data.fill_(3.0)
    assert check_outputs("file", trained.model, TorchEstimator(trained), 112).compared > 0.9


def test_the_crops_of_the_check_are_of_all_kinds() -> None:
    crops = probe_crops(112)
    spread = crops.reshape(len(crops), -1).std(axis=1)
    assert len(crops) == 22 and spread.max() > 70 and (spread == 0).sum() == 2


def test_bad_formats(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = load_trained(checkpoint)
    with pytest.raises(UserError, match="formats: must be some of onnx, torch_export, safetensors, got 'tflite'"):
        export(trained, tmp_path / "out", ["tflite"])
    with pytest.raises(UserError, match="formats: must be some of"):
        export(trained, tmp_path / "out", [])
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript is not installed: pip install -c .* -e '.\[export\]'"):
        export(trained, tmp_path / "out", ["onnx"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"broken.safetensors: not a safetensors file") as caught:
        load_safetensors(tmp_path / "broken.safetensors")
    assert "\n" not in str(caught.value)


def test_safetensors_of_something_else_are_one_line(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"other.safetensors: safetensors, but not from hmlpe-export"):
        load_safetensors(tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="no such file"):
        load_safetensors(tmp_path / "missing.safetensors")


def test_a_folder_that_is_none(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"out: .*file is a file; name a folder"):
        export(load_trained(checkpoint), tmp_path / "file", ["safetensors"])
    with pytest.raises(UserError, match=r"out: .*model.safetensors cannot be written"):
        export(load_trained(checkpoint), tmp_path / "file" / "below", ["safetensors"])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[("threads", value) for value in (0, True, 1.5, "two")],
        *[("rounds", value) for value in (-1, 1.5, True, None, "many")],
        *[("fires", value) for value in (1, -0.1, True, "often")],
        *[("formats", value) for value in (None, [], 3, True, "tflite", [None])],
        *[("out", value) for value in (True, 1.5, "", ["a"])],
        *[("checkpoint", value) for value in (True, "")],
    ],
)
def test_settings_of_no_use(checkpoint: Path, tmp_path: Path, setting: str, value: object) -> None:
    good = {"checkpoint": str(checkpoint), "out": str(tmp_path / "out"), "formats": ["safetensors"], "fires": None}
    good["trust"] = []
    config = OmegaConf.create({**good, "threads": None, "rounds": 0, setting: value})
    with pytest.raises(UserError, match=f"^{setting}: must be "):
        cli.export(config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [None, "???"])
def test_a_checkpoint_is_due(value: str | None) -> None:
    rest = {"out": None, "formats": ["onnx"], "fires": None, "threads": None, "rounds": 0}
    with pytest.raises(UserError, match=r"^checkpoint: is not given; for example"):
        cli.export(OmegaConf.create({"checkpoint": value, **rest}))


def test_the_program_writes_and_says_what_it_wrote(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = OmegaConf.create(
        {"checkpoint": str(checkpoint), "out": str(tmp_path / "out"), "formats": "safetensors", "fires": 0.5}
        | {"threads": None, "rounds": 3, "trust": []}
    )
    cli.export(config)
    out = capsys.readouterr().out
    assert "single/det_0.1_s1: regression and detection, crops of 112 px" in out
    assert f"wrote {tmp_path / 'out' / 'model.safetensors'}" in out and "onnxruntime" not in out
    again = load_safetensors(tmp_path / "out" / "model.safetensors")
    assert isinstance(again.model, PoseModel) and again.model.fires == 0.5

"""ONNX files of hmlpe-export, made here by hand: no torch, neither in the test nor in what it tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hmlpe.errors import UserError
from hmlpe.predict.estimator import ModelCard
from hmlpe.predict.onnx_file import OnnxEstimator, metadata_json, parse_metadata
from hmlpe.predict.open import open_estimator
from hmlpe.skeleton import Skeleton

SIZE = 16
CARD = ModelCard(
    name="study/row_s1",
    skeleton=Skeleton(("neck", "left", "right"), {"one": ("neck", "left")}, [("left", "right")]),
    size_px=SIZE,
    windows={"count": 2.0, "stride_px": 8.0, "extent_px": 7.5, "beta": 0.3},
    factors=(2.0, 0.65, 2.7),
    tasks=("regression", "detection"),
    made_by={"code": "c"},
)
FIRST = {"joints_px": (3, 2), "confidence": (3,), "part_maps": (1, 4)}


def model(metadata: dict[str, str], outputs: tuple[str, ...] = tuple(FIRST), size: int = SIZE) -> bytes:
    """Every output is the mean of the crop's red channel, in the output's shape."""
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["float", "zero", "one", "one"], ["red"]),
        helper.make_node("ReduceMean", ["red", "all"], ["mean"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array([0]), "zero"),
        numpy_helper.from_array(np.array([1]), "one"),
        numpy_helper.from_array(np.array([1, 2, 3]), "all"),
    ]
    made = []
    for name in outputs:
        shape = FIRST[name]
        ones, axes = np.ones((1, *shape), np.float32), np.arange(1, len(shape) + 1)
        constants += [numpy_helper.from_array(ones, f"{name}_ones"), numpy_helper.from_array(axes, f"{name}_axes")]
        nodes.append(helper.make_node("Unsqueeze", ["mean", f"{name}_axes"], [f"{name}_mean"]))
        nodes.append(helper.make_node("Mul", [f"{name}_mean", f"{name}_ones"], [name]))
        made.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
    # Slice by axis 1 needs its axes beside its bounds
    nodes[1] = helper.make_node("Slice", ["float", "zero", "one", "one"], ["red"])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, size, size])
    graph = helper.make_graph(nodes, "made", [image], made, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(model({"hmlpe": metadata_json(CARD, 0.5)}))
    return path


def crops(*values: int) -> np.ndarray:
    """RGB crops of that red and no green or blue."""
    found = np.zeros((len(values), SIZE, SIZE, 3), np.uint8)
    found[..., 0] = np.array(values)[:, None, None]
    return found


def test_card_and_outputs(file: Path) -> None:
    estimate = OnnxEstimator(file, threads=1)
    assert estimate.card == CARD and estimate.fires == 0.5
    poses = estimate(crops(3, 200))
    assert poses.joints_px.shape == (2, 3, 2) and poses.part_maps is not None and poses.part_maps.shape == (2, 1, 4)
    for values in poses[:3]:
        assert (values[0] == 3).all() and (values[1] == 200).all(), "crops out of order, or channels"
    assert estimate(crops(7)).confidence.tolist() == [[7, 7, 7]]


def test_without_detectors_there_are_no_maps(file: Path) -> None:
    file.write_bytes(model({"hmlpe": metadata_json(CARD, None)}, ("joints_px", "confidence")))
    assert OnnxEstimator(file)(crops(1)).part_maps is None


def test_description_round_trip() -> None:
    assert parse_metadata(metadata_json(CARD, None), Path("x")) == (CARD, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an ONNX file"),
        (b"just a text\n", "not an ONNX file"),
        (b"\x80\x04\x95", "not an ONNX file"),
        (model({}), "not from hmlpe-export: its metadata have no 'hmlpe'"),
        (model({"hmlpe": "{"}), "its description is broken"),
        (model({"hmlpe": "[]"}), "its description is broken"),
        (model({"hmlpe": '{"version": 2}'}), "its description is broken"),
        (model({"hmlpe": '{"version": 2, "card": {}, "fires": null}'}), "its description is broken"),
        (model({"hmlpe": '{"version": 99}'}), "from version 99 of hmlpe-export, this one reads 2; export again"),
        (model({"hmlpe": metadata_json(CARD, None)}, ("joints_px",)), "its inputs and outputs are not those"),
        (model({"hmlpe": metadata_json(CARD, None)}, size=SIZE + 1), "its inputs and outputs are not those"),
    ],
)
def test_bad_files_are_one_line(file: Path, content: bytes, says: str) -> None:
    file.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        open_estimator(file)
    assert str(caught.value).startswith(f"{file}: ") and "\n" not in str(caught.value)


def test_a_cut_file_is_one_line(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = file.read_bytes()
    for length in range(1, len(whole), 97):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"model.onnx: ") as caught:
            OnnxEstimator(file)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "onnxruntime speaks to the user by itself"


def test_a_file_cannot_name_another_beside_it(file: Path) -> None:
    proto = onnx.load_from_string(file.read_bytes())
    (file.parent / "secret").write_bytes(b"\0" * 64)
    one = next(c for c in proto.graph.initializer if c.name == "joints_px_ones")
    onnx.external_data_helper.set_external_data(one, location="secret", offset=0, length=24)
    one.ClearField("raw_data")
    one.data_location = TensorProto.EXTERNAL
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match="not an ONNX file that can be run"):
        OnnxEstimator(file)


def test_without_onnxruntime_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install -c constraints.txt -e '.\[export\]'"):
        open_estimator(file)


def test_what_is_not_there(tmp_path: Path, file: Path) -> None:
    for name in ("missing.onnx", "missing.ckpt"):
        with pytest.raises(UserError, match=f"{name}: no such file"):
            open_estimator(tmp_path / name)
    with pytest.raises(UserError, match="is a folder, not a file"):
        open_estimator(tmp_path)
    with pytest.raises(UserError, match="ONNX files run on the CPU"):
        open_estimator(file, device="cuda")
    with pytest.raises(UserError, match=r"model.onnx: an ONNX file has its own fires, .* remove fires=0.0$"):
        open_estimator(file, fires=0.0)


@pytest.mark.parametrize("threads", [0, -1, True])
def test_threads_must_be_a_count(file: Path, threads: int) -> None:
    with pytest.raises(UserError, match="threads: must be a whole number of at least 1, or null"):
        open_estimator(file, threads=threads)
    assert open_estimator(file, threads=2).card == CARD


def test_other_suffixes_are_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_text("no checkpoint")
    with pytest.raises(UserError, match="not a checkpoint from hmlpe-train"):
        open_estimator(tmp_path / "model.ckpt")


def test_it_answers_without_torch(file: Path) -> None:
    program = (
        "import sys, json; from pathlib import Path; import numpy as np\n"
        "from hmlpe.predict.open import open_estimator\n"
        f"poses = open_estimator(Path({str(file)!r}))(np.full((1, {SIZE}, {SIZE}, 3), 9, np.uint8))\n"
        "import os; told = os.environ.get('ORT_DISABLE_TELEMETRY')\n"
        "print(json.dumps([float(poses.joints_px.max()), sorted({name.split('.')[0] for name in sys.modules}), told]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    found: Any = json.loads(done.stdout)
    assert found[0] == 9 and found[2] == "1", "onnxruntime sends nothing to its maker"
    assert not {"torch", "lightning", "albumentations", "scipy", "matplotlib", "hydra"} & set(found[1])

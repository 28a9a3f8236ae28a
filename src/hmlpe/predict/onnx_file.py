"""Estimate poses with onnxruntime, from an ONNX file of hmlpe-export. It starts fast, as torch is not imported."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from hmlpe.errors import UserError, install_command
from hmlpe.predict.estimator import POSE_OUTPUTS, ModelCard, Poses

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

KEY = "hmlpe"
"""The metadata key of exported files for JSON with `version`, `card` and `fires` (see `predict.model.PoseModel`)."""
VERSION = 2  # in version 1, networks whose data had no rule from windows to boxes had FLIC's factors
INPUT = "image"


class OnnxEstimator:
    """An `Estimator` that runs an ONNX file on the CPU.

    Args:
        path: the file.
        threads: the number of threads that compute one crop; None: as many as there are cores.

    Raises:
        UserError: there is no such file, it is not an ONNX file, or it is not of this version of hmlpe-export.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._session = _open_session(path, threads)
        values = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if values is None:
            raise UserError(f"{path}: an ONNX file, but not from hmlpe-export: its metadata have no {KEY!r}")
        self.card, self.fires = parse_metadata(values, path)
        self._outputs = [one.name for one in self._session.get_outputs()]
        shapes = [(one.name, one.type, one.shape[1:]) for one in self._session.get_inputs()]
        size = self.card.size_px
        if shapes != [(INPUT, "tensor(uint8)", [3, size, size])] or self._outputs[:2] != list(POSE_OUTPUTS[:2]):
            raise UserError(f"{path}: its inputs and outputs are not those of hmlpe-export; export again")

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """Estimate the poses in RGB crops, whose side is `card.size_px`."""
        image = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        found: dict[str, Any] = dict(zip(self._outputs, self._session.run(None, {INPUT: image}), strict=True))
        return Poses.from_outputs(found)


def metadata_json(card: ModelCard, fires: float | int | None) -> str:
    """Return the metadata for an exported file, model card and `fires`, as JSON, which `parse_metadata` reads."""
    return json.dumps({"version": VERSION, "card": card.as_dict(), "fires": fires})


def parse_metadata(metadata: str, path: Path) -> tuple[ModelCard, float | None]:
    """Return the model card, and `PoseModel`'s threshold `fires` (or None), from an exported file's metadata.

    Args:
        metadata: the JSON text.
        path: the file, for the error message.

    Raises:
        UserError: the metadata are broken or of another version.
    """
    try:
        content = json.loads(metadata)
        version = content["version"]
        if version == VERSION:
            return ModelCard.from_dict(content["card"]), content["fires"]
    except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(f"{path}: its description is broken ({type(error).__name__}: {error}); export again") from error
    raise UserError(f"{path}: from version {version} of hmlpe-export, this one reads {VERSION}; export again")


def _open_session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """Load an ONNX file for the CPU. Raises UserError if it cannot be read or run, or onnxruntime is not installed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it sends what runs to its maker, unless told not to
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{path}: reading ONNX files needs onnxruntime, which is not installed: {install_command('export')}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # no log: what is wrong is raised as an error, and reported in one line
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        # Given the bytes and not the path, onnxruntime cannot read further files that the graph may name.
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime may raise anything on a broken file
        raise UserError(f"{path}: not an ONNX file that can be run ({type(error).__name__})") from error

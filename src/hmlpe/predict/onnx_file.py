"""Poses by onnxruntime, from a file of hmlpe-export. Answers at once: torch is not imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from hmlpe.errors import UserError, install_command
from hmlpe.predict.estimator import POSE, Card, Poses

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

KEY = "hmlpe"
"""Under which the metadata say what the file is: JSON with `version`, `card` and `fires` (`deploy.model.PoseModel`)."""
VERSION = 2  # 1: of networks without a rule of their own the factors were FLIC's
INPUT = "image"


class OnnxEstimator:
    """Implements `predict.estimator.Estimator` on the CPU.

    Args:
        path: the file.
        threads: that one crop's work is spread over; None: as many as there are cores.

    Raises:
        UserError: no such file, no ONNX, none that hmlpe-export wrote, or of another version of it.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._session = _session(path, threads)
        values = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if values is None:
            raise UserError(f"{path}: an ONNX file, but not of hmlpe-export: its metadata have no {KEY!r}")
        self.card, self.fires = described(values, path)
        self._outputs = [one.name for one in self._session.get_outputs()]
        shapes = [(one.name, one.type, one.shape[1:]) for one in self._session.get_inputs()]
        size = self.card.size_px
        if shapes != [(INPUT, "tensor(uint8)", [3, size, size])] or self._outputs[:2] != list(POSE[:2]):
            raise UserError(f"{path}: its inputs and outputs are not those of hmlpe-export; export again")

    def __call__(self, crops: UInt8[np.ndarray, "crop size size 3"]) -> Poses:
        """The poses in RGB crops of `card.size_px`."""
        image = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        found: dict[str, Any] = dict(zip(self._outputs, self._session.run(None, {INPUT: image}), strict=True))
        return Poses.of(found)


def describe(card: Card, fires: float | int | None) -> str:
    """What a file says of itself, as `described` reads it."""
    return json.dumps({"version": VERSION, "card": card.as_dict(), "fires": fires})


def described(values: str, path: Path) -> tuple[Card, float | None]:
    """The card, and from which probability a window fires. Raises UserError if they are not there."""
    try:
        content = json.loads(values)
        version = content["version"]
        if version == VERSION:
            return Card.from_dict(content["card"]), content["fires"]
    except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(f"{path}: its description is broken ({type(error).__name__}: {error}); export again") from error
    raise UserError(f"{path}: of version {version} of hmlpe-export, this one reads {VERSION}; export again")


def _session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{path}: reading ONNX files needs onnxruntime, which is not installed: {install_command('export')}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised, and said in one line
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        # The bytes and not the path: what the graph then names beside itself cannot be read.
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises whatever the broken bytes lead to
        raise UserError(f"{path}: not an ONNX file that can be run ({type(error).__name__})") from error

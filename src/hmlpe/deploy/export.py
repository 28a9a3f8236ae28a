"""A trained network -> files that run by themselves, each checked against it before it appears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from torch.export import ExportedProgram

from hmlpe.deploy.agreement import Crops, Deviation, check
from hmlpe.deploy.checkpoint import TorchEstimator
from hmlpe.deploy.graph import ProgramRunner, exported_program, onnx_bytes, program_bytes
from hmlpe.deploy.trained import Trained
from hmlpe.deploy.weights import load_safetensors, safetensors_bytes
from hmlpe.errors import UserError, install
from hmlpe.files import write_bytes_atomic
from hmlpe.predict.estimator import Poses
from hmlpe.predict.onnx_file import OnnxEstimator

FILES = {"onnx": "model.onnx", "torch_export": "model.pt2", "safetensors": "model.safetensors"}
NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch_export": (), "safetensors": ("safetensors",)}


class Written(NamedTuple):
    """A file that was written, its size in bytes, and how it differs from the network."""

    path: Path
    size: int
    deviation: Deviation


def export(trained: Trained, folder: Path, formats: Sequence[str], trust: Sequence[str] = ()) -> list[Written]:
    """Write the formats (of `FILES`) into `folder`. All are checked before the first one is written.

    Args:
        trust: see `load_trained`.

    Raises:
        UserError: an unknown format, a package that is not installed, a folder that cannot be written to, or a file
            that does not give what the network gives.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out: {folder} is a file; name a folder")
    unknown = [name for name in formats if name not in FILES]
    if unknown or not formats:
        raise UserError(f"formats: must be some of {', '.join(FILES)}, got {unknown[0] if unknown else 'none'!r}")
    missing = [one for name in formats for one in NEEDS[name] if find_spec(one) is None]
    if missing:
        raise UserError(f"formats: {missing[0]} is not installed: {install('export')}")
    make, found = _Maker(trained), []
    with TemporaryDirectory() as elsewhere:
        for name in dict.fromkeys(formats):
            content = make(name)
            trial = Path(elsewhere) / FILES[name]
            trial.write_bytes(content)
            difference = check(FILES[name], trained.model, reader(trial, trust), trained.card.size_px)
            found.append((folder / FILES[name], content, difference))
    for path, content, _ in found:
        try:
            write_bytes_atomic(path, content)
        except OSError as error:
            raise UserError(f"out: {path} cannot be written ({error.strerror})") from error
    return [Written(path, len(content), difference) for path, content, difference in found]


def reader(path: Path, trust: Sequence[str] = ()) -> Callable[[Crops], Poses]:
    """What runs a file of `export`, as a stranger would."""
    if path.suffix == ".onnx":
        return OnnxEstimator(path, torch.get_num_threads())
    if path.suffix == ".pt2":
        return ProgramRunner(path.read_bytes())
    return TorchEstimator(load_safetensors(path, trust))


class _Maker:
    """Content by format; ONNX and torch.export share the graph."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    @cached_property
    def program(self) -> ExportedProgram:
        return exported_program(self.trained)

    def __call__(self, name: str) -> bytes:
        if name == "safetensors":
            return safetensors_bytes(self.trained)
        return (onnx_bytes if name == "onnx" else program_bytes)(self.program, self.trained)

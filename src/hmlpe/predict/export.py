"""Export a trained network to files that run without this package's configuration.

Each file's outputs are compared with the network's before the file is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.export import ExportedProgram

from hmlpe.data.sources.embedded import EmbeddedSource
from hmlpe.errors import UserError, install_command
from hmlpe.files import write_bytes_atomic
from hmlpe.geometry import crop_resized
from hmlpe.predict.estimator import Poses
from hmlpe.predict.graph import ExportedProgramRunner, export_program, onnx_bytes, program_bytes
from hmlpe.predict.model import PoseModel
from hmlpe.predict.onnx_file import KEY, OnnxEstimator, metadata_json, parse_metadata
from hmlpe.predict.trained import DESIGN, TorchEstimator, TrainedModel, build_model
from hmlpe.training.trusted import naming_file_in_errors

TOLERANCE = 1e-5
TIE_MARGIN = 1e-4  # where a value is this near to a threshold, rounding decides on which side of it a window falls
BATCHES = (1, 2, 7, 16)
Crops = UInt8[np.ndarray, "crop size size 3"]
DESIGN_KEY = "hmlpe.design"
"""The metadata key of a safetensors file for the configuration of network and tasks, as JSON."""
FILES = {"onnx": "model.onnx", "torch_export": "model.pt2", "safetensors": "model.safetensors"}
REQUIRED_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "torch_export": (), "safetensors": ("safetensors",)}


class Deviation(NamedTuple):
    """The largest absolute differences between the outputs of an exported file and those of the network.

    Attributes:
        joints: the difference of joint positions, as a share of the crop's side; 1e-5 is about 0.001 pixels.
        part_maps: the difference of part probabilities and of the outputs of further tasks; 0 if there are none.
        confidence: the difference of confidences where there is no tie (see `has_tie`), given the joints and part maps
            of the file itself; 0 without part detectors.
        compared: the share of the confidences that are compared, as there is no tie.
    """

    joints: float
    part_maps: float
    confidence: float
    compared: float

    @property
    def largest(self) -> float:
        """Return the largest of the three differences; NaN if one of them is NaN."""
        return float(np.max([self.joints, self.part_maps, self.confidence]))


def check_outputs(file_name: str, model: PoseModel, estimate: Callable[[Crops], Poses], size_px: int) -> Deviation:
    """Compare an exported file's outputs with the network's on `probe_crops`, at several batch sizes.

    Args:
        file_name: the file's name, for the error message.
        model: the network, on the CPU.
        estimate: a function that runs the exported file.
        size_px: the side of the crops in pixels.

    Returns:
        The largest differences over all batches, and the mean share of confidences that were compared.

    Raises:
        UserError: a difference is above `TOLERANCE`, or NaN.
    """
    crops, found = probe_crops(size_px), []
    for size in BATCHES:
        for start in range(0, len(crops) - size + 1, max(size, len(crops) // 4)):
            found.append(output_deviation(model, crops[start : start + size], estimate))
    joints, maps, confidence, compared = np.array(found).T
    worst = Deviation(float(joints.max()), float(maps.max()), float(confidence.max()), float(compared.mean()))
    if not worst.largest <= TOLERANCE:  # NaN too
        raise UserError(
            f"{file_name}: its outputs differ from the network's by {worst.largest:.1e} (joints in crop sizes, or "
            f"probabilities), more than {TOLERANCE:g}; nothing was written"
        )
    return worst


@torch.inference_mode()
def output_deviation(model: PoseModel, crops: Crops, estimate: Callable[[Crops], Poses]) -> Deviation:
    """Return the differences between an exported file's outputs and the network's on one batch.

    They are infinite if the file has outputs of other names than the network, or if its confidences are NaN for other
    joints.
    """
    expected = model(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))))
    poses = estimate(crops)
    joints = _largest_absolute(torch.from_numpy(poses.joints_px) - expected["joints_px"]) / crops.shape[1]
    there = {*poses.others, *(() if poses.part_maps is None else ("part_maps",))}
    if there != expected.keys() - {"joints_px", "confidence"}:
        return Deviation(joints, np.inf, np.inf, 0.0)
    others = [_largest_absolute(torch.from_numpy(value) - expected[name]) for name, value in poses.others.items()]
    confidence = torch.from_numpy(poses.confidence)
    if poses.part_maps is None:
        return Deviation(joints, max([0.0, *others]), 0.0 if bool(confidence.isnan().all()) else np.inf, 1.0)
    part_maps, own_px = torch.from_numpy(poses.part_maps), torch.from_numpy(poses.joints_px)
    # From the file's own joints: that a deviation of 1e-7 moves a window over a threshold is not an error of the file.
    wanted = model.confidence(own_px, part_maps)
    clear = ~has_tie(model, own_px, part_maps)
    maps = float(np.max([_largest_absolute(part_maps - expected["part_maps"]), *others]))
    if not torch.equal(wanted.isnan(), confidence.isnan()):
        return Deviation(joints, maps, np.inf, 0.0)
    difference = (confidence - wanted)[clear & ~wanted.isnan()]
    return Deviation(joints, maps, _largest_absolute(difference), float(clear.float().mean()))


def has_tie(
    model: PoseModel, joints_px: Float[Tensor, "batch joint 2"], part_maps: Float[Tensor, "batch part window"]
) -> Bool[Tensor, "batch joint"]:
    """Return whether each joint's confidence has a tie, i.e. whether rounding decides if a window counts in it.

    That is so if, to within `TIE_MARGIN`, the share of a stick's length inside a window is equal to beta, or the
    window's probability is equal to `fires`.
    """
    assert model.detection is not None
    windows = model.detection[1].windows
    tied = (windows.share_inside(joints_px[:, model.ends]) - windows.beta).abs() < TIE_MARGIN
    if model.fires is not None:
        tied |= (part_maps - model.fires).abs() < TIE_MARGIN
    meets = model.share_of.nan_to_num() > 0
    return (tied.any(-1)[:, :, None] & meets).any(1)


@cache
def probe_crops(size_px: int) -> Crops:
    """Return 22 crops to compare outputs on: 5 of noise, 5 blurred, 10 of synthetic people, one black and one white.

    The array (22, size, size, 3) is read-only, as it is cached.
    """
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, size_px, size_px, 3), dtype=np.uint8)
    blurred = [cv2.GaussianBlur(crop, (0, 0), 3) for crop in noise]
    source = EmbeddedSource(train=10, test=0, seed=0)
    people = [crop_resized(source.image(one.image), one.detection_px, size_px) for one in source.people()]
    flat = [np.full((size_px, size_px, 3), value, np.uint8) for value in (0, 255)]
    crops = np.stack([*noise, *blurred, *people, *flat])
    crops.flags.writeable = False
    return crops


def _largest_absolute(difference: Tensor) -> float:
    """Return the largest absolute value in the tensor: NaN if a value is NaN, 0 if there are no values."""
    return float(difference.abs().max()) if difference.numel() else 0.0


def safetensors_bytes(trained: TrainedModel) -> bytes:
    """Return the content of a safetensors file: weights, and as metadata the model card and configuration."""
    from safetensors.torch import save

    weights = {name: value.contiguous() for name, value in trained.model.network.state_dict().items()}
    design = {key: trained.config[key] for key in DESIGN}
    return save(weights, {KEY: metadata_json(trained.card, trained.model.fires), DESIGN_KEY: json.dumps(design)})


def load_safetensors(path: Path, trust: Sequence[str] = ()) -> TrainedModel:
    """Load the network from a safetensors file that hmlpe-export wrote.

    Args:
        path: the file.
        trust: see `load_trained`.

    Raises:
        UserError: there is no such file, or hmlpe-export did not write it, or the network cannot be rebuilt from it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a safetensors file ({' '.join(str(error).split())})") from error
    if KEY not in metadata or DESIGN_KEY not in metadata:
        raise UserError(f"{path}: safetensors, but not from hmlpe-export: its metadata have no {KEY!r}")
    card, fires = parse_metadata(metadata[KEY], path)
    with naming_file_in_errors(path):
        design = json.loads(metadata[DESIGN_KEY])
        return TrainedModel(build_model(design, weights, fires, trust), card, design)


class ExportedFile(NamedTuple):
    """A file that `export` wrote, its size in bytes, and how far its outputs differ from the network's."""

    path: Path
    size: int
    deviation: Deviation


def export(
    trained: TrainedModel, folder: Path, formats: Sequence[str], trust: Sequence[str] = ()
) -> list[ExportedFile]:
    """Export the network to `folder` in these formats. All files are checked before the first one is written.

    Args:
        trained: the network.
        folder: the folder to write into.
        formats: names of formats, the keys of `FILES`.
        trust: see `load_trained`.

    Returns:
        The written files.

    Raises:
        UserError: an unknown format, a package that is not installed, a folder that cannot be written to, or a file
            whose outputs differ from the network's.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"out: {folder} is a file; name a folder")
    unknown = [name for name in formats if name not in FILES]
    if unknown or not formats:
        raise UserError(f"formats: must be some of {', '.join(FILES)}, got {unknown[0] if unknown else 'none'!r}")
    missing = [one for name in formats for one in REQUIRED_PACKAGES[name] if find_spec(one) is None]
    if missing:
        raise UserError(f"formats: {missing[0]} is not installed: {install_command('export')}")
    make, found = _FileContents(trained), []
    with TemporaryDirectory() as elsewhere:
        for name in dict.fromkeys(formats):
            content = make(name)
            trial = Path(elsewhere) / FILES[name]
            trial.write_bytes(content)
            difference = check_outputs(FILES[name], trained.model, open_exported(trial, trust), trained.card.size_px)
            found.append((folder / FILES[name], content, difference))
    for path, content, _ in found:
        try:
            write_bytes_atomic(path, content)
        except OSError as error:
            raise UserError(f"out: {path} cannot be written ({error.strerror})") from error
    return [ExportedFile(path, len(content), difference) for path, content, difference in found]


def open_exported(path: Path, trust: Sequence[str] = ()) -> Callable[[Crops], Poses]:
    """Open a file that `export` wrote, as its user would, and return a function from crops to poses."""
    if path.suffix == ".onnx":
        return OnnxEstimator(path, torch.get_num_threads())
    if path.suffix == ".pt2":
        return ExportedProgramRunner(path.read_bytes())
    return TorchEstimator(load_safetensors(path, trust))


class _FileContents:
    """A callable that makes the content of a network's file in a format.

    The formats onnx and torch_export share one exported graph.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained

    @cached_property
    def program(self) -> ExportedProgram:
        """Return the graph that torch.export makes of the network."""
        return export_program(self.trained)

    def __call__(self, format_name: str) -> bytes:
        """Return the bytes of the file in this format, a key of `FILES`."""
        if format_name == "safetensors":
            return safetensors_bytes(self.trained)
        return (onnx_bytes if format_name == "onnx" else program_bytes)(self.program, self.trained)

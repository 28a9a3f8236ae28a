"""A network's file -> what runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hmlpe.errors import UserError
from hmlpe.predict.estimator import Estimator

ONNX = ".onnx"


def open_estimator(
    path: Path,
    device: str = "cpu",
    threads: int | None = None,
    fires: float | int | None = None,
    trust: Sequence[str] = (),
) -> Estimator:
    """Open `*.onnx` by onnxruntime, without torch; anything else as a checkpoint of hmlpe-train, by torch.

    Args:
        device: cpu or cuda; ONNX files run on the CPU.
        threads: of the CPU; None: as it comes.
        fires: of a checkpoint, the probability above which a window fires in the joints' confidence; None: windows
            count by their probability (`deploy.model.PoseModel`). An ONNX file has its own, given at its export.
        trust: of a checkpoint, the packages beside this one that it may be built of: what they hold is run.

    Raises:
        UserError: it is missing, or not what its name says; or a setting is of no use.
    """
    check_threads(threads)
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    if path.suffix.lower() == ONNX:
        if device != "cpu":
            raise UserError(f"{path}: ONNX files run on the CPU; set device=cpu, or give the checkpoint")
        if fires is not None:
            raise UserError(f"{path}: an ONNX file has its own fires, set by hmlpe-export; leave fires={fires} away")
        from hmlpe.predict.onnx_file import OnnxEstimator

        return OnnxEstimator(path, threads)
    from hmlpe.predict.trained import CheckpointEstimator

    return CheckpointEstimator(path, device, threads, fires, trust)


def check_threads(threads: object) -> None:
    """Raises UserError unless it is a positive whole number, or None."""
    whole = isinstance(threads, int) and not isinstance(threads, bool)
    if threads is not None and not (whole and threads > 0):  # type: ignore[operator]  # `whole` says so
        raise UserError(f"threads: must be a whole number of at least 1, or null, got {threads!r}")


def trusted(value: Any) -> tuple[str, ...]:
    """The setting `trust`. Raises UserError unless it is a list of packages' names."""
    names = [value] if isinstance(value, str) else list(value or [])
    if not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise UserError(f"trust: must be a list of packages' names, got {value!r}")
    return tuple(names)

"""A network's file -> what runs it."""

from __future__ import annotations

from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.predict.estimator import Estimator

ONNX = ".onnx"


def open_estimator(
    path: Path, device: str = "cpu", threads: int | None = None, fires: float | int | None = None
) -> Estimator:
    """Open `*.onnx` by onnxruntime, without torch; anything else as a checkpoint of hmlpe-train, by torch.

    Args:
        device: cpu or cuda; ONNX files run on the CPU.
        threads: of the CPU; None: as it comes.
        fires: of a checkpoint, the probability above which a window fires in the joints' confidence; None: windows
            count by their probability (`deploy.model.PoseModel`). An ONNX file has its own, given at its export.

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
    from hmlpe.deploy.checkpoint import CheckpointEstimator

    return CheckpointEstimator(path, device, threads, fires)


def check_threads(threads: object) -> None:
    """Raises UserError unless it is a positive whole number, or None."""
    whole = isinstance(threads, int) and not isinstance(threads, bool)
    if threads is not None and not (whole and threads > 0):  # type: ignore[operator]  # `whole` says so
        raise UserError(f"threads: must be a whole number of at least 1, or null, got {threads!r}")

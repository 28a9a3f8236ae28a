"""Open a file with a trained network: an exported ONNX file or a checkpoint."""

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
    """Open a trained network: an `.onnx` file with onnxruntime, without torch, or a checkpoint with torch.

    Args:
        path: the file, of hmlpe-export or hmlpe-train.
        device: cpu or cuda; ONNX files run on the CPU.
        threads: the number of CPU threads; None leaves the default.
        fires: for a checkpoint, the probability above which a window counts as a detection in the joints' confidence;
            None weights windows by their probability (`predict.model.PoseModel`). For an ONNX file it must be None, as
            the value was fixed at the export.
        trust: for a checkpoint, packages other than this one whose classes it may use: their code is run.

    Raises:
        UserError: the file is missing or not what its name says, or a setting is not valid.
    """
    check_threads(threads)
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    if path.suffix.lower() == ONNX:
        if device != "cpu":
            raise UserError(f"{path}: ONNX files run on the CPU; set device=cpu, or give the checkpoint")
        if fires is not None:
            raise UserError(f"{path}: an ONNX file has its own fires, set by hmlpe-export; remove fires={fires}")
        from hmlpe.predict.onnx_file import OnnxEstimator

        return OnnxEstimator(path, threads)
    from hmlpe.predict.trained import CheckpointEstimator

    return CheckpointEstimator(path, device, threads, fires, trust)


def check_threads(threads: object) -> None:
    """Raise UserError unless `threads` is a positive whole number, or None."""
    whole = isinstance(threads, int) and not isinstance(threads, bool)
    if threads is not None and not (whole and threads > 0):  # type: ignore[operator]  # `whole` says so
        raise UserError(f"threads: must be a whole number of at least 1, or null, got {threads!r}")


def parse_trust(value: Any) -> tuple[str, ...]:
    """Return the setting `trust` as a tuple of package names.

    Raises UserError unless it is a package's name, a list of such names, or None.

    >>> parse_trust("mine"), parse_trust(["mine", "theirs"]), parse_trust(None)
    (('mine',), ('mine', 'theirs'), ())
    """
    names = [value] if isinstance(value, str) else list(value or [])
    if not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise UserError(f"trust: must be a list of packages' names, got {value!r}")
    return tuple(names)

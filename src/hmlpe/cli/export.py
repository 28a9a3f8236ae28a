"""hmlpe-export: a trained network as files that run by themselves."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, ListConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError


def export(config: DictConfig) -> None:
    """Write the formats, check each, and print what was written."""
    checkpoint = Path(str(config.checkpoint)).expanduser()
    formats = [str(name) for name in config.formats] if isinstance(config.formats, ListConfig) else [config.formats]
    folder = Path(str(config.out)).expanduser() if config.out is not None else checkpoint.parent / "export"

    import torch

    from hmlpe.deploy.bench import latency
    from hmlpe.deploy.checkpoint import TorchEstimator
    from hmlpe.deploy.export import FILES
    from hmlpe.deploy.export import export as write
    from hmlpe.deploy.trained import load_trained
    from hmlpe.predict.onnx_file import OnnxEstimator
    from hmlpe.predict.open import check_threads

    check_threads(config.threads)
    if not isinstance(config.rounds, int) or config.rounds < 0:
        raise UserError(f"rounds: must be a whole number of at least 0, got {config.rounds!r}")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    trained = load_trained(checkpoint, config.fires)
    print(f"{trained.card.name}: {' and '.join(trained.card.tasks)}, crops of {trained.card.size_px} px")
    for path, size, deviation in write(trained, folder, formats):
        print(
            f"wrote {path} ({size / 1e6:.1f} MB); differs from torch by at most {deviation.joints:.1e} of the crop's "
            f"side in joints, {deviation.part_maps:.1e} in probabilities, {deviation.confidence:.1e} in confidence "
            f"({deviation.compared:.1%} compared, the rest is within rounding of a threshold)"
        )
    if "onnx" in formats and config.rounds:
        found = latency(
            TorchEstimator(trained), OnnxEstimator(folder / FILES["onnx"], torch.get_num_threads()), config.rounds
        )
        print(
            f"one crop: torch {found.torch_ms:.2f} ms, onnxruntime {found.onnx_ms:.2f} ms, ratio {found.ratio:.2f}"
            f" (medians of {config.rounds} runs in turn, {torch.get_num_threads()} threads)"
        )


def main() -> None:
    """Entry point."""
    run_app("export", export)


if __name__ == "__main__":
    main()

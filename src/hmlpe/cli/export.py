"""hmlpe-export: a trained network as files that run by themselves."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError


def export(config: DictConfig) -> None:
    """Export the checkpoint in each configured format, and compare each file's outputs with torch's.

    Sizes, differences and, for ONNX, the latency are printed.
    """
    checkpoint, folder = _path_setting(config, "checkpoint"), _path_setting(config, "out")
    if checkpoint is None:
        raise UserError("checkpoint: is not given; for example checkpoint=model.ckpt")
    folder = folder or checkpoint.parent / "export"
    given = config.formats
    formats = [str(name) for name in (given if isinstance(given, ListConfig) else [given])]
    rounds = config.rounds
    if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 0:
        raise UserError(f"rounds: must be a whole number of at least 0, got {rounds!r}")

    import torch

    from hmlpe.predict.export import FILES
    from hmlpe.predict.export import export as write
    from hmlpe.predict.model import check_fires
    from hmlpe.predict.onnx_file import OnnxEstimator
    from hmlpe.predict.open import check_threads, parse_trust
    from hmlpe.predict.timing import measure_latency
    from hmlpe.predict.trained import TorchEstimator, load_trained

    trust = parse_trust(config.trust)
    check_threads(config.threads)
    check_fires(config.fires)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    trained = load_trained(checkpoint, config.fires, trust)
    print(f"{trained.card.name}: {' and '.join(trained.card.tasks)}, crops of {trained.card.size_px} px")
    for path, size, deviation in write(trained, folder, formats, trust):
        print(
            f"wrote {path} ({size / 1e6:.1f} MB); differs from torch by at most {deviation.joints:.1e} of the crop's "
            f"side in joints, {deviation.part_maps:.1e} in probabilities, {deviation.confidence:.1e} in confidence"
            + (f" ({deviation.compared:.1%} compared, the rest are ties)" if deviation.compared < 1 else "")
        )
    if "onnx" in formats and rounds:
        found = measure_latency(
            TorchEstimator(trained), OnnxEstimator(folder / FILES["onnx"], torch.get_num_threads()), rounds
        )
        print(
            f"one crop: torch {found.torch_ms:.2f} ms, onnxruntime {found.onnx_ms:.2f} ms, ratio {found.ratio:.2f}"
            f" (medians of {rounds} runs in turn, {torch.get_num_threads()} threads)"
        )


def _path_setting(config: DictConfig, name: str) -> Path | None:
    """Return a setting that is a path (a number is taken as a name); None if it is null or not given.

    Raises:
        UserError: it is anything else.
    """
    value = None if OmegaConf.is_missing(config, name) else config[name]
    if value is not None and (not isinstance(value, str | int) or isinstance(value, bool) or value == ""):
        raise UserError(f"{name}: must be a name, got {value!r}")
    return None if value is None else Path(str(value))


def main() -> None:
    """Run the console script hmlpe-export."""
    run_app("export", export)


if __name__ == "__main__":
    main()

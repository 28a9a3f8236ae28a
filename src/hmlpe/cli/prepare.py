"""hmlpe-prepare: a data set as it is distributed -> a pack of crops."""

from __future__ import annotations

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.cli.app import run_app


def prepare_pack(config: DictConfig) -> None:
    """Prepare the configured data set, and say what the pack holds."""
    from hmlpe.data.prepare import prepare

    folder = Path(config.data.pack)
    manifest, was_there = prepare(
        source=instantiate(config.data.source),
        skeleton=instantiate(config.skeleton),
        boxes=instantiate(config.data.boxes),
        folder=folder,
        crop_px=config.data.crop_px,
        allow_missing=config.data.allow_missing,
        workers=config.prepare.workers,
    )
    counts = manifest["counts"]
    left_out = (
        f"; left out: {counts['people_without_image']} people without their image, "
        f"{counts['train_people_in_test_images']} training people in test images"
        if counts["people_without_image"] or counts["train_people_in_test_images"]
        else ""
    )
    state = "is prepared already" if was_there else "prepared"
    print(f"{folder} {state}: {counts['train']} train and {counts['test']} test people{left_out}")


def main() -> None:
    """Entry point."""
    run_app("prepare", prepare_pack)


if __name__ == "__main__":
    main()

"""hmlpe-predict: photos, videos or a camera -> people with their poses, drawn and as numbers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError

if TYPE_CHECKING:
    from hmlpe.predict.job import Options, Summary


def predict(config: DictConfig) -> None:
    """Find people and their poses in the configured sources, write the results, and print a short summary."""
    from hmlpe.detect.build import build_detector
    from hmlpe.detect.detector import WholeImage
    from hmlpe.detect.given import GivenBoxes
    from hmlpe.predict.job import Options, run_job
    from hmlpe.predict.open import open_estimator, parse_trust
    from hmlpe.predict.people import PosePredictor
    from hmlpe.predict.sources import find_sources
    from hmlpe.settings import to_plain_containers

    for name, example in (("checkpoint", "model.onnx"), ("source", "photo.jpg"), ("out", "found")):
        if OmegaConf.is_missing(config, name) or config[name] is None:
            raise UserError(f"{name}: is not given; for example {name}={example}")
    numbers = {name: _positive_int_or_none(config, name) for name in ("people", "frames", "threads")}
    batch = _positive_int_or_none(config, "batch")
    if batch is None:
        raise UserError("batch: must be a whole number above 0, got None")
    options = Options(
        out=Path(str(config.out)),
        draw=_bool_setting(config, "draw"),
        maps=_bool_setting(config, "maps"),
        people=numbers["people"],
        score=_score_setting(config.score),
        frames=numbers["frames"],
    )
    estimator = open_estimator(
        Path(str(config.checkpoint)), str(config.device), numbers["threads"], config.fires, parse_trust(config.trust)
    )
    found = find_sources(_source_list(config.source), recursive=_bool_setting(config, "recursive"))
    if not found.items and len(found.skipped) == 1:
        raise UserError(found.skipped[0].reason)
    detector = build_detector(to_plain_containers(config.detector), estimator.card.factors_or_identity)
    predictor = PosePredictor(detector, estimator, batch_size=batch)
    start = time.monotonic()
    summary = run_job(found, predictor, options, detector=str(config.detector.get("_target_", "")))
    if summary.images or not summary.skipped:
        lines = _summary_lines(summary, options, found.ignored, time.monotonic() - start)
        if estimator.card.no_factors_warning and not isinstance(detector, WholeImage):
            lines.insert(0, estimator.card.no_factors_warning)
        if isinstance(detector, GivenBoxes) and detector.unlisted_images:
            count = len(detector.unlisted_images)
            lines.insert(
                0, f"no boxes in {detector.path} for {count} of the images, e.g. {detector.unlisted_images[0]}"
            )
        if isinstance(detector, GivenBoxes) and detector.ignored:
            ignored = ", ".join(f"{count} {what}" for what, count in detector.ignored.items())
            lines.insert(0, f"left out of {detector.path}: {ignored}")
        print(*lines, sep="\n", flush=True)
    if summary.stopped:
        _print_skipped(summary)
        raise KeyboardInterrupt
    if summary.skipped:
        _raise_for_skipped(summary)


def _summary_lines(summary: Summary, options: Options, ignored: int, seconds: float) -> list[str]:
    """Return the lines to print: how many people were found in which sources, and which files were written."""
    lines = []
    if summary.empty:
        names = ", ".join(summary.empty[:8]) + (", …" if len(summary.empty) > 8 else "")
        lines.append(f"no person found in {len(summary.empty)} of the photos: {names}")
    for video in summary.videos:
        lines.append(f"{video['video']}: people in {video['frames_with_people']} of {video['frames']} frames")
        if video["ends_early"]:
            lines.append(f"{video['video']}: ends early, after {video['frames']} of {video['frames_expected']} frames")
    if ignored:
        lines.append(f"left out (not images, hidden, or drawn by an earlier call): {ignored} files")
    rate = f"{summary.images / seconds:.3g} a second" if seconds > 0 else ""
    lines.append(
        f"{_count_with_noun(summary.people, 'person', 'people')} in "
        f"{_count_with_noun(summary.images, 'image', 'images')}, {rate}; "
        f"wrote {options.out}: poses.json, poses.csv"
    )
    if options.draw and summary.images:
        lines[-1] += " and pictures"
    return lines


def _count_with_noun(count: int, singular: str, plural: str) -> str:
    return f"{count} {singular if count == 1 else plural}"


def _print_skipped(summary: Summary) -> None:
    """Print each skipped source with the reason to stderr."""
    from hmlpe.predict.job import skipped_lines

    for line in skipped_lines(summary.skipped):
        print(line, file=sys.stderr)


def _raise_for_skipped(summary: Summary) -> None:
    """Raise UserError for the skipped sources; if there are several, print each first."""
    if len(summary.skipped) == 1:
        raise UserError(summary.skipped[0].reason)
    _print_skipped(summary)
    raise UserError(f"{len(summary.skipped)} images or other sources were skipped; all others are done")


def _source_list(value: Any) -> list[str | int]:
    """Return the setting `source` as a list of names and camera numbers. Raises UserError if it is anything else."""
    values = list(value) if isinstance(value, ListConfig) else [value]
    if not values or not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in values):
        raise UserError(f"source: must be a name, a camera's number, or a list of them, got {value!r}")
    return [str(one) if isinstance(one, float) else one for one in values]  # 1.5 may be a file


def _positive_int_or_none(config: DictConfig, name: str) -> int | None:
    """Return the setting with this name. Raises UserError unless it is a positive whole number or null."""
    value = config[name]
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise UserError(f"{name}: must be a whole number above 0, or null, got {value!r}")
    return value


def _bool_setting(config: DictConfig, name: str) -> bool:
    """Return the setting with this name. Raises UserError unless it is true or false."""
    if not isinstance(config[name], bool):
        raise UserError(f"{name}: must be true or false, got {config[name]!r}")
    return bool(config[name])


def _score_setting(value: Any) -> float | None:
    """Return the setting `score`. Raises UserError unless it is a number or null."""
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value != value):
        raise UserError(f"score: must be a number, or null, got {value!r}")
    return None if value is None else float(value)


def main() -> None:
    """Run the console script hmlpe-predict."""
    run_app("predict", predict)


if __name__ == "__main__":
    main()

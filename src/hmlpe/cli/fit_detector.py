"""hmlpe-fit-detector: how OpenCV's cascades do on a set's people, and which maps, scores and files suit them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from hmlpe.cli.app import run_app
from hmlpe.errors import UserError
from hmlpe.text_table import aligned_lines, csv_text

if TYPE_CHECKING:
    from hmlpe.data.record import Source
    from hmlpe.detect.cascade import CascadeDetector

COLUMNS = (
    "set", "split", "cascade", "file", "min_neighbours", "least_score", "images", "people", "found", "recall",
    "false_per_image", "ms_per_image", "near", *(f"{name}_{q}" for name in ("shift", "top", "height") for q in
    ("q25", "median", "q75")), "sum_low", "sum_true",
)  # fmt: skip
SHOWN = ("cascade", "file", "min_neighbours", "least_score", "recall", "false_per_image", "ms_per_image", "near")

Row = dict[str, Any]


def fit_detector(config: DictConfig) -> None:
    """Measure how well each cascade, and the detector that combines them, finds the people of each configured set.

    On the training split, they are also measured on all sets together. Tables are printed and written.
    """
    from hmlpe.data.collection import build_data_sets
    from hmlpe.detect.build import build_detector
    from hmlpe.detect.cascade import CascadeDetector
    from hmlpe.files import write_text_atomic
    from hmlpe.settings import DataSettings, to_plain_containers

    search = config.search
    if search.split not in ("train", "test"):
        raise UserError(f"search.split: must be train or test, got {search.split!r}")
    if search.images is not None and not (isinstance(search.images, int) and search.images >= 1):
        raise UserError(f"search.images: must be a number of images, or null for all, got {search.images!r}")
    detector = build_detector(to_plain_containers(config.detector))
    if not isinstance(detector, CascadeDetector):
        raise UserError("detector: hmlpe-fit-detector only measures cascades; use detector=cascade")
    looked: dict[str, _Detections] = {}
    for one in build_data_sets(DataSettings.from_config(config.data, "data"))[0]:
        limit = None if search.split == "test" else search.images
        looked[one.source.name] = _detect_in_images(
            one.source, search.split, limit, _cascades_to_try(detector, config), detector
        )
    if len(looked) > 1 and search.split == "train":
        looked["together"] = _Detections.joined(list(looked.values()))
    thresholds = sorted(
        {0.0, float(detector.least_score), *((search.least_scores or ()) if search.split == "train" else ())}
    )
    for name, seen in looked.items():
        rows = [{"set": name, "split": search.split, **row} for row in _table_rows(seen, detector, thresholds)]
        path = Path(config.out) / f"{name}_{search.split}.csv"
        write_text_atomic(path, csv_text(COLUMNS, ([row.get(column) for column in COLUMNS] for row in rows)))
        print(f"{name}: {rows[0]['people']} people in {rows[0]['images']} images, {search.split}")
        print(_format_table(rows), f"\nwrote {path}\n")


class _Detections:
    """The boxes that each tried cascade detects in the images of a set, beside the annotated boxes.

    Attributes:
        cascades: the cascades by name, the configured ones first.
        truths: for each image, its annotated upper-body boxes (person, 4).
        found: for each cascade, its boxes in each image.
        seconds: for each cascade, its time for each image.
    """

    def __init__(self, cascades: dict[str, Any]) -> None:
        self.cascades = cascades
        self.truths: list[Any] = []
        self.found: dict[str, list[Any]] = {key: [] for key in cascades}
        self.seconds: dict[str, list[float]] = {key: [] for key in cascades}

    @classmethod
    def joined(cls, parts: Sequence[_Detections]) -> _Detections:
        """Return the detections of several sets as those of one set."""
        whole = cls(parts[0].cascades)
        for part in parts:
            whole.truths += part.truths
            for key in whole.cascades:
                whole.found[key] += part.found[key]
                whole.seconds[key] += part.seconds[key]
        return whole


def _cascades_to_try(detector: CascadeDetector, config: DictConfig) -> dict[str, Any]:
    """Return the cascades to measure, by name.

    They are the detector's own and, on the training split, also those with the cascade files and `min_neighbours`
    values of `config.search`.
    """
    tried = dict(detector.cascades)
    if config.search.split == "test":  # nothing is to be chosen
        return tried
    first = next(iter(detector.cascades.values()))
    others = {file: replace(first, file=file) for file in config.search.files or ()}
    for name, cascade in (detector.cascades | others).items():
        for count in config.search.min_neighbours or (cascade.min_neighbours,):
            if name in others or count != cascade.min_neighbours:
                tried[f"{name}, {count}"] = replace(cascade, min_neighbours=count)
    return tried


def _detect_in_images(
    source: Source, split: str, limit: int | None, tried: dict[str, Any], detector: CascadeDetector
) -> _Detections:
    """Run each cascade on the images that show people of the split, and return its boxes and times.

    Args:
        source: the data set.
        split: train or test.
        limit: the largest number of images, chosen evenly spaced by name; None: all.
        tried: the cascades by name.
        detector: the configured detector, whose `longest_px` limits the size of the images.

    Raises:
        UserError: no person of the split has both an image and an annotated box.
    """
    import numpy as np
    from tqdm import tqdm

    from hmlpe.detect.cascade import CascadeDetector

    missing = set(source.missing_images())
    windows: dict[str, list[Any]] = {}
    for person in source.people():
        if person.split == split and person.image not in missing and np.isfinite(person.window_px).all():
            windows.setdefault(person.image, []).append(person.window_px)
    if not windows:
        raise UserError(f"{source.name}: no {split} person has both an image and a window to compare with")
    names = sorted(windows)
    if limit is not None and limit < len(names):
        names = [names[place] for place in np.linspace(0, len(names) - 1, limit).round().astype(int)]
    looked = _Detections(tried)
    alone = {key: CascadeDetector({key: cascade}, detector.longest_px) for key, cascade in tried.items()}
    for name in tqdm(names, desc=source.name, unit="image"):
        image = source.image(name)
        looked.truths.append(np.stack(windows[name]))
        for key, one in alone.items():
            start = time.perf_counter()
            looked.found[key].append(one.detect_boxes(image)[key])
            looked.seconds[key].append(time.perf_counter() - start)
    return looked


def _table_rows(detections: _Detections, detector: CascadeDetector, thresholds: Sequence[float]) -> Iterator[Row]:
    """Yield the table's rows: one for each cascade, then one for the combined detector at each score threshold."""
    from hmlpe.detect.cascade import CascadeDetector
    from hmlpe.detect.fit import QUARTILES, relate_boxes, score_cascade_boxes, score_windows

    for key, cascade in detections.cascades.items():
        near = relate_boxes(detections.truths, detections.found[key])
        names = [f"{name}_{q}" for name in ("shift", "top", "height") for q in ("q25", "median", "q75")]
        assert len(names) == 3 * len(QUARTILES)
        yield {
            "cascade": key.partition(",")[0],
            "file": cascade.file,
            "min_neighbours": cascade.min_neighbours,
            **_score_columns(
                score_cascade_boxes(detections.truths, detections.found[key], cascade.to_window),
                detections.seconds[key],
            ),
            "near": near.boxes,
            **{name: f"{value:.3f}" for name, value in zip(names, near.quartiles.T.ravel(), strict=True)},
            "sum_low": f"{near.sum_low:.2f}",
            "sum_true": f"{near.sum_true:.2f}",
        }
    # The thresholds are tried below, so nobody may be dropped before, by the configured one
    everyone = CascadeDetector(detector.cascades, detector.longest_px, detector.overlap, least_score=-math.inf)
    people = [
        everyone.merge_boxes({key: detections.found[key][place] for key in detector.cascades})
        for place in range(len(detections.truths))
    ]
    seconds = [sum(times) for times in zip(*(detections.seconds[key] for key in detector.cascades), strict=True)]
    for least in thresholds:
        kept = [one.windows_px[one.scores >= least] for one in people]
        yield {
            "cascade": "all together",
            "least_score": least,
            **_score_columns(score_windows(detections.truths, kept), seconds),
        }


def _score_columns(counted: Any, seconds: Sequence[float]) -> Row:
    """Return the table's columns of counts, recall, false detections and mean time per image, by name."""
    return {
        "images": counted.images,
        "people": counted.people,
        "found": counted.found,
        "recall": f"{counted.recall:.4f}",
        "false_per_image": f"{counted.false_per_image:.3f}",
        "ms_per_image": f"{1000 * sum(seconds) / len(seconds):.0f}",
    }


def _format_table(rows: Sequence[Row]) -> str:
    """Format the rows for the terminal; shift, top and height as median [lower quartile upper quartile]."""
    header = (*SHOWN, "shift", "top", "height", "sum_low", "sum_true")
    lines: list[tuple[str, ...]] = [header]
    for row in rows:
        cells = {
            name: f"{row[f'{name}_median']} [{row[f'{name}_q25']} {row[f'{name}_q75']}]" if "near" in row else ""
            for name in ("shift", "top", "height")
        }
        lines.append(tuple(str({**row, **cells}.get(column, "")) for column in header))
    return "\n".join(aligned_lines(lines))


def main() -> None:
    """Run the console script hmlpe-fit-detector."""
    run_app("fit_detector", fit_detector, allowed=("data", "skeleton", "detector", "search", "out"))


if __name__ == "__main__":
    main()

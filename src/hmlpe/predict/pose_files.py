"""Write poses to `poses.json` and `poses.csv`, image by image; the files appear when they are complete."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from hmlpe.files import atomic_file
from hmlpe.predict.estimator import ModelCard
from hmlpe.predict.people import FoundPerson

WINDOW = ("window_x0", "window_y0", "window_x1", "window_y1")
COLUMNS = ("image", "person", "joint", "x", "y", "confidence", "score", *WINDOW)
COORDINATES = "pixels of the upright image: x to the right, y down, (0, 0) is the centre of the upper left pixel"
CONFIDENCE = "how well the part detectors agree with the joint, 0 to 1; null if the network has none"


class PoseFiles:
    """A context manager that writes the poses of one job.

    Earlier files in `out` are replaced when the context is left without an error.

    `poses.json` is an object. It begins with what is known at the start: model, made_by, tasks, detector, factors from
    the detector's boxes to the crops' boxes, coordinates, confidence, folder. Then come the `images`, in order, one per
    line, and at the end of the object the entries of `set_footer`. The decoded outputs of further tasks for a person
    are under `answers`.

    `poses.csv` has a line for each joint of each person, with the columns `COLUMNS`. An image's name is its path
    relative to `folder`; the name of a video's frame is `<name>#<frame>`, with frames counted from 0, and the JSON has
    `frame` and `time_s` too. Unknown numbers are null in the JSON and empty in the table. People are numbered from 1,
    as in the pictures, the one with the best score first.

    Args:
        out: the folder of both files.
        card: the model card of the network.
        detector: a text that says what found the people, e.g. the detector's class.
        folder: the folder that the names of images are relative to.
    """

    def __init__(self, out: Path, card: ModelCard, detector: str, folder: Path) -> None:
        self._out, self._joints = out, card.skeleton.joints
        self._head = {
            "model": card.name,
            "made_by": dict(card.made_by),
            "tasks": list(card.tasks),
            "detector": detector,
            "factors": None if card.factors is None else list(card.factors),
            "coordinates": COORDINATES,
            "confidence": CONFIDENCE,
            "folder": str(folder),
        }
        self._tail: Mapping[str, Any] = {}
        self._first = True

    def __enter__(self) -> PoseFiles:
        with ExitStack() as stack:
            names = [stack.enter_context(atomic_file(self._out / name)) for name in ("poses.json", "poses.csv")]
            self._json, table = (
                stack.enter_context(name.open("w", encoding="utf-8", errors="backslashreplace", newline=""))
                for name in names
            )
            self._table = csv.writer(table, lineterminator="\n")
            self._table.writerow(COLUMNS)
            self._json.write(f'{json.dumps(self._head, indent=1).removesuffix("}").rstrip()},\n "images": [')
            self._stack = stack.pop_all()
        return self

    def add(self, image: str, width: int, height: int, people: Sequence[FoundPerson], **more: Any) -> None:
        """Write an image and its people.

        Args:
            image: the image's name.
            width, height: its size in pixels.
            people: the people, in order.
            more: further entries of the image, for the JSON only.
        """
        rows = [self._person_entry(number, person) for number, person in enumerate(people, start=1)]
        entry = {"image": image, "width": width, "height": height, **more, "people": rows}
        separator = "\n" if self._first else ",\n"
        self._json.write(f"{separator}  {json.dumps(entry, allow_nan=False)}")
        self._first = False
        for row in rows:
            for name, joint in row["joints"].items():
                values = (joint["x"], joint["y"], joint["confidence"], row["score"], *row["window_px"])
                self._table.writerow([image, row["number"], name, *values])

    def set_footer(self, **entries: Any) -> None:
        """Set the entries at the end of the JSON, which are written when the context is left."""
        self._tail = entries

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            rest = json.dumps(self._tail, indent=1, allow_nan=False).removeprefix("{").lstrip("\n")
            self._json.write(f"\n ],\n{rest}\n" if self._tail else "\n ]\n}\n")

    def _person_entry(self, number: int, person: FoundPerson) -> dict[str, Any]:
        """Return the entry of a person in poses.json, with rounded numbers."""
        joints = zip(self._joints, person.joints_px.tolist(), person.confidence.tolist(), strict=True)
        return {
            "number": number,
            "score": _json_number(person.score, 6),
            "window_px": [_json_number(value, 2) for value in person.window_px.tolist()],
            "box_px": [_json_number(value, 2) for value in person.box_px.tolist()],
            "joints": {
                name: {"x": _json_number(x, 2), "y": _json_number(y, 2), "confidence": _json_number(sure, 4)}
                for name, (x, y), sure in joints
            },
            **({"answers": {n: _rounded(v.tolist()) for n, v in person.others.items()}} if person.others else {}),
        }


def _rounded(value: Any) -> Any:
    """Return a further task's output, in the same nested lists, with its numbers rounded for JSON."""
    return [_rounded(one) for one in value] if isinstance(value, list) else _json_number(value, 4)


def _json_number(value: float, digits: int) -> float | None:
    """Return the rounded number, or None (null) if it is NaN or infinite."""
    return round(float(value), digits) if math.isfinite(value) else None

"""The detector's boxes that Buffy Stickmen brings along (`techrep2010_buffy_results.mat`, FACTS 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from hmlpe.data.sources.matlab import box, field, read_struct_array, whole
from hmlpe.data.sources.stickmen import ORIGIN_PX
from hmlpe.errors import UserError

Box = Float[np.ndarray, " 4"]
Frame = tuple[int, int]  # episode, number


def read_detections(path: Path) -> dict[Frame, list[Box]]:
    """The boxes of every frame that the file lists, x0 y0 x1 y1, pixels counted from 0; a frame may have none.

    Raises:
        UserError: naming file, record and field; also if the file is missing.
    """
    if not path.is_file():
        raise UserError(f"{path}: is missing; add it, or set data.source.detections=null to go without detections")
    found: dict[Frame, list[Box]] = {}
    for i, record in enumerate(read_struct_array(path, "techrep2010_buffy"), start=1):
        where = f"{path}, record {i}"
        frame = whole(record, "episode", where), whole(record, "frame", where)
        if frame in found:
            raise UserError(f"{where}: episode {frame[0]}, frame {frame[1]} has a record already; fetch the file again")
        found[frame] = [
            box(stickman, "det", where) - ORIGIN_PX for stickman in np.atleast_1d(field(record, "stickmen", where))
        ]
    return found

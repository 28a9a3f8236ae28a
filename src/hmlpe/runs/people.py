"""`<run>/people/<rule>.npz`: what one checkpoint says of each test person, for statistics over people and for drawing.

Names and shapes, of N people (arrays of a task that is not trained are left out):

    index                                     int64 (N,), the row in the pack
    person                                    str (N,), the pack's name of the person
    shot                                      str (N,), the same for people of one shot, or where that is unknown of
                                              one image: statistics draw them together
    errors/<name>                             float32 (N, item), a metric's errors (`metric.Reduction`): NaN where the
                                              truth is unknown, infinite without an answer
    truth_crop_px, truth_px                   float32 (N, joint, 2), pixels of the test crop and of the image
    torso_px, box_px                          float32 (N,) and (N, 4), pixels of the image
    predicted_crop_px, predicted_px           of the joint regression
    part_maps_predicted, part_maps_true       uint8 (N, part, row, column), of the part detection: probability x 255 for
                                              each window; the truth is 0 where it is unknown

What other tasks keep (`tasks.Task.stored_arrays`) lies beside these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hmlpe.errors import UserError
from hmlpe.files import new_file

ERRORS = "errors/"


@dataclass(frozen=True, eq=False)
class People:
    """The test people of one run, in the pack's order.

    Attributes:
        index: (person,) the row in the pack.
        person: (person,) the pack's names.
        shot: (person,) the same for people who are drawn together; None: the file is of an older version.
        arrays: what was found of them, (person, ...), by the file's names.
    """

    index: Int[np.ndarray, " person"]
    person: np.ndarray
    shot: np.ndarray | None
    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def errors(self) -> Mapping[str, np.ndarray]:
        """(person, item) errors by their name."""
        return {name.removeprefix(ERRORS): one for name, one in self.arrays.items() if name.startswith(ERRORS)}


def people_file(folder: Path, rule: str) -> Path:
    """Where the people of a run lie, under a checkpoint rule."""
    return folder / "people" / f"{rule}.npz"


def write_people(path: Path, people: People) -> None:
    """Write the file, whole or not at all."""
    own = {"index": people.index, "person": people.person} | ({} if people.shot is None else {"shot": people.shot})
    with new_file(path, ".npz") as temporary:
        np.savez_compressed(temporary, **own, **people.arrays)  # type: ignore[arg-type]  # numpy's takes no mapping


def read_people(path: Path) -> People:
    """Read one file. Raises UserError: there is none (see its message), or it is no such file."""
    try:
        # Opened here, as numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        lengths = {len(values) for values in arrays.values()}
        index, person = arrays.pop("index").astype(np.int64), arrays.pop("person")
        shot = arrays.pop("shot", None)
        if lengths != {len(index)} or not len(index):
            raise ValueError("its arrays are not of one length")
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; runs of an older version and evaluations with fit=false have none"
        ) from None
    except MemoryError:  # which says nothing of the file
        raise
    except Exception as error:  # a damaged file makes zlib, zipfile and numpy raise almost anything
        raise UserError(f"{path}: damaged ({' '.join(str(error).split())}); rerun this run") from error
    return People(index, person, shot, arrays)

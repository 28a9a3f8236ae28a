"""`<run>/people/<rule>.npz`: predictions and errors of one checkpoint for each test person, for statistics and plots.

Names and shapes for N people (the arrays of a task that is not trained are missing):

    index                                     int64 (N,), the row in the pack
    person                                    str (N,), the pack's name of the person
    shot                                      str (N,), equal for people of one shot or, where the shot is unknown,
                                              of one image: the bootstrap draws them together
    errors/<name>                             float32 (N, item), a metric's errors (`metric.Reduction`): NaN where the
                                              truth is unknown, infinite where there is no prediction
    truth_crop_px, truth_px                   float32 (N, joint, 2), pixels of the test crop and of the image
    torso_px, box_px                          float32 (N,) and (N, 4), pixels of the image
    predicted_crop_px, predicted_px           of the joint regression, the same
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
from hmlpe.files import atomic_file

ERRORS = "errors/"


@dataclass(frozen=True, eq=False)
class People:
    """The predictions and errors of one run for each test person, in the pack's order.

    Attributes:
        index: (person,) the row in the pack.
        person: (person,) the pack's name of the person.
        shot: (person,) equal for people whom the bootstrap draws together; None: the file is of an older version.
        arrays: all other arrays, (person, ...), by their names in the file.
    """

    index: Int[np.ndarray, " person"]
    person: np.ndarray
    shot: np.ndarray | None
    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def errors(self) -> Mapping[str, np.ndarray]:
        """Return the errors, (person, item), by the name of the metric."""
        return {name.removeprefix(ERRORS): one for name, one in self.arrays.items() if name.startswith(ERRORS)}


def people_file(folder: Path, rule: str) -> Path:
    """Return the path of a run's people file for one checkpoint rule ("best" or "last")."""
    return folder / "people" / f"{rule}.npz"


def write_people(path: Path, people: People) -> None:
    """Write the people to the .npz file `path`, in one atomic step."""
    own = {"index": people.index, "person": people.person} | ({} if people.shot is None else {"shot": people.shot})
    with atomic_file(path, ".npz") as temporary:
        np.savez_compressed(temporary, **own, **people.arrays)  # type: ignore[arg-type]  # numpy's takes no mapping


def read_people(path: Path) -> People:
    """Return the content of one people file. Raises UserError if it is missing (the message says why) or damaged."""
    try:
        # Opened here, as numpy would leave a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        lengths = {len(values) for values in arrays.values()}
        index, person = arrays.pop("index").astype(np.int64), arrays.pop("person")
        shot = arrays.pop("shot", None)
        if lengths != {len(index)} or not len(index):
            raise ValueError("its arrays differ in length")
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; runs of an older version and evaluations with fit=false have none"
        ) from None
    except MemoryError:  # does not mean that the file is damaged
        raise
    except Exception as error:  # a damaged file makes zlib, zipfile and numpy raise almost anything
        raise UserError(f"{path}: damaged ({' '.join(str(error).split())}); rerun this run") from error
    return People(index, person, shot, arrays)

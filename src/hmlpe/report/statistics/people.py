"""`<run>/people/<rule>.npz`: what one checkpoint says of each test person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from hmlpe.errors import UserError


@dataclass(frozen=True, eq=False)
class People:
    """The test people of one run, in the pack's order.

    Attributes:
        index: (person,) the row in the pack.
        person: (person,) the pack's names.
        shot: (person,) the same for people who are drawn together; None: the file is of an older version.
        arrays: what was found of them, (person, ...), by the file's names; those of a task that was not trained are
            absent.
    """

    index: Int[np.ndarray, " person"]
    person: np.ndarray
    shot: np.ndarray | None
    arrays: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.index)


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

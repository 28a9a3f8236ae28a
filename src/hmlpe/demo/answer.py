"""Who was found in a photo, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import UInt8

from hmlpe.predict.estimator import Card
from hmlpe.predict.people import FoundPerson
from hmlpe.predict.write import PoseFiles


@dataclass(frozen=True, eq=False)
class Answer:
    """A photo and who was found in it.

    Attributes:
        name: the photo's file name.
        image: RGB, upright.
        people: the surest first.
        left_out: how many more were found than were asked for.
        found_by: what found them, in words.
    """

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    people: Sequence[FoundPerson] = ()
    left_out: int = 0
    found_by: str = ""

    def summary(self) -> str:
        """How many people were found; none is an answer."""
        count = len(self.people)
        found = f"{count} {'person' if count == 1 else 'people'} found" if count else "no person found"
        more = f" ({self.left_out} more left out: see the settings)" if self.left_out else ""
        return f"{self.name}: {found}{more}"

    def poses_json(self, card: Card) -> bytes:
        """The file that hmlpe-predict writes of this photo."""
        with TemporaryDirectory() as out:
            with PoseFiles(Path(out), card, self.found_by, folder=Path()) as files:
                height, width = self.image.shape[:2]
                files.add(self.name, width, height, self.people)
            return (Path(out) / "poses.json").read_bytes()

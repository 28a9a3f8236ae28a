"""ETHZ PASCAL Stickmen 1.11 (Eichner & Ferrari, Better appearance models for pictorial structures, BMVC 2009).

549 people in photos of PASCAL VOC; published by the Calvin group (groups.inf.ed.ac.uk/calvin/ethz_pascal_stickmen).
No licence is known: for research use; cite the paper. Coordinates are assumed to be MATLAB's, 1-based (grade I of
docs/facts.md), and are converted to 0-based. The set has no split: others test on it, this paper's authors seem to
train on it (FACTS 5, grade I).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from hmlpe.data.sources.stickset import StickSet
from hmlpe.errors import UserError


class EthzSource(StickSet):
    """Reader of ETHZ PASCAL Stickmen; `root` holds data/pascal_sticks.txt and images/."""

    name = "ethz"
    contents = "ETHZ PASCAL's data/pascal_sticks.txt and images/"
    file = "data/pascal_sticks.txt"
    header_counts = (0,)

    def to_image_name(self, name: str, where: str) -> str:
        """Convert the name in a header to an image's file name.

        A number is written with six digits, as in the names of the image files, and `.jpg` is added to a name without
        suffix.

        Raises:
            UserError: the name is neither a number nor that of an image.
        """
        path = PurePosixPath(super().to_image_name(name, where))
        number = path.stem.isascii() and path.stem.isdecimal()
        if not (path.suffix[1:].isalpha() if path.suffix else number):
            raise UserError(f"{where}: a header must be a number or the name of an image, got {name[:40]!r}")
        stem = path.stem.zfill(6) if number else path.stem
        return str(path.with_name(f"{stem}{path.suffix or '.jpg'}"))

"""We Are Family Stickmen 1.02, WAF (Eichner & Ferrari, We Are Family: Joint Pose Estimation, ECCV 2010).

525 group photos; published by the Calvin group (groups.inf.ed.ac.uk/calvin). No licence is known: for research use;
cite the paper. Coordinates are assumed to be MATLAB's, 1-based (grade I of docs/facts.md), and are converted to
0-based. The first 350 images are for training, the others for testing (FACTS 5).
"""

from __future__ import annotations

from hmlpe.data.record import Person
from hmlpe.data.sources.stickset import StickSet, person_of_stickman
from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.skeleton import Skeleton


class FamilySource(StickSet):
    """Reader of WAF; `root` holds data/waf_sticks_all.txt and images/.

    Args:
        root: the set's folder.
        skeleton: the joints to fill.
        train_images: number of images, the first in the file, that are for training; the others are for testing.

    Raises:
        UserError: the folder, skeleton or number is invalid.
    """

    name = "waf"
    contents = "We Are Family's data/waf_sticks_all.txt and images/"
    file = "data/waf_sticks_all.txt"
    header_counts = (0, 1, 2)

    def __init__(self, root: str | None, skeleton: Skeleton, train_images: int = 350) -> None:
        super().__init__(root, skeleton)
        if type(train_images) is not int or train_images < 0:
            raise UserError(f"data.source.train_images: must be a whole number, 0 or more, got {train_images!r}")
        self.train_images = train_images

    def read(self) -> list[Person]:
        """Read all people, in the file's order. Raises UserError for invalid data or too few images."""
        stickmen = self.stickmen()
        images = list(dict.fromkeys(stickman.image for stickman in stickmen))
        if self.train_images > len(images):
            raise UserError(
                f"{self.annotation_files()[0]}: holds {len(images)} images, fewer than data.source.train_images = "
                f"{self.train_images}; is the file cut off?"
            )
        train = set(images[: self.train_images])
        return [person_of_stickman(man, "train" if man.image in train else "test", self.skeleton) for man in stickmen]

    def labels_digest(self) -> str:
        """Return a digest of the annotation file's bytes and the number of training images."""
        return digest_of([super().labels_digest(), self.train_images])

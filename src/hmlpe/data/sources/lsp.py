"""Leeds Sports Pose, and its extended training set.

LSP: Johnson & Everingham, Clustered Pose and Nonlinear Appearance Models for Human Pose Estimation, BMVC 2010; at
sam.johnson.io/research/lsp.html. Extended: Johnson & Everingham, Learning Effective Human Pose Estimation from
Inaccurate Annotation, CVPR 2011; at sam.johnson.io/research/lspet.html. No licence is stated; the photographs belong to
Flickr users, whom LSP's files name. Cite the paper.

Both are distributed as `joints.mat` (matrix `joints`) beside `images/`, one person an image, the image cut around the
person. Joints are person-centric, pixels MATLAB's, 1-based (FACTS 5), and become 0-based here. The two differ in the
order of the axes, in the meaning of the flag and in the number of digits of the images' names.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from hmlpe.data.record import Split
from hmlpe.data.sources.leeds import LeedsSource
from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.skeleton import Skeleton


class LspSource(LeedsSource):
    """Reader of LSP; `root` holds joints.mat (3 x 14 x 2000; flag 1 = occluded) and images/im0001.jpg to im2000.jpg.

    Args:
        root: the set's folder.
        skeleton: the joints to fill.
        train: the first so many people train, the others test.

    Raises:
        UserError: see `FolderSource`; `train` is no whole number.
    """

    name = "lsp"
    holds = "Leeds Sports Pose's joints.mat and images/"
    axes = (3, 14)
    other = "LspExtendedSource"
    image_digits = 4
    hidden_flag = 1

    def __init__(self, root: str | None, skeleton: Skeleton, train: object = 1000) -> None:
        super().__init__(root, skeleton)
        if not isinstance(train, int) or isinstance(train, bool) or train < 0:
            raise UserError(f"data.source.train: must be a whole number of people, 0 or more, got {train!r}")
        self.train = train

    def split(self, number: int) -> Split:
        """The first `train` people train, the others test."""
        return "train" if number <= self.train else "test"

    def labels_digest(self) -> str:
        """Digest of the annotation file and of the split."""
        return digest_of([super().labels_digest(), self.train])


class LspExtendedSource(LeedsSource):
    """Reader of LSP extended; `root` holds joints.mat (14 x 3 x 10000; flag 1 = visible) and images/im00001.jpg on.

    All people train. A joint that is not visible is occluded where it has coordinates, and unknown where it has none:
    the file then says 0 or less.
    """

    name = "lsp_extended"
    holds = "Leeds Sports Pose extended's joints.mat and images/"
    axes = (14, 3)
    other = "LspSource"
    image_digits = 5
    hidden_flag = 0

    def _points(
        self, labels: Float[np.ndarray, "14 3"], where: str
    ) -> tuple[Float[np.ndarray, "14 2"], Bool[np.ndarray, " 14"]]:
        nowhere = (labels[:, 2] == 0) & (labels[:, :2] <= 0).any(axis=1)
        return super()._points(np.where(nowhere[:, None] & [True, True, False], np.nan, labels), where)

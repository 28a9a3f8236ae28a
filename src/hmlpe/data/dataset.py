"""The samples of a pack: an augmented view for training, the plain test crop for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from hmlpe.data.augment import Augmentation, CropView, check_size
from hmlpe.data.batch_augment import batch_augmentation_of
from hmlpe.data.pack import Labels
from hmlpe.geometry import image_to_crop

Sample = dict[str, Tensor]
"""All that a task may use of a person; in a batch every tensor has one more axis in front.

- image: (3, size, size) uint8, the view.
- joints_px: (joint, 2) in pixels of the view, NaN where unknown.
- occluded: (joint,) bool, of the joints in the view.
- mirrored: () bool, the view shows the person mirrored, so that left and right joints have swapped names.
- attributes: (attribute,) in the order of `Pack.attributes`, NaN where unknown; a mirror does not change them.
- truth_px, box_px, torso_px: (joint, 2), (4,) and (), in image pixels.
- row: (), the person's row in the pack.
"""


def random_batch(people_count: int, joint_count: int, attribute_count: int, size_px: int) -> Sample:
    """Return a batch of random pixels and joints with all keys, shapes and types of a `Sample`, for timing.

    All attributes in it are unknown (NaN).

    Args:
        people_count: number of people in the batch.
        joint_count: number of joints of the skeleton.
        attribute_count: number of attributes.
        size_px: side of the network's input.
    """
    joints_px = torch.rand(people_count, joint_count, 2) * size_px
    return {
        "image": torch.randint(256, (people_count, 3, size_px, size_px), dtype=torch.uint8),
        "joints_px": joints_px,
        "occluded": torch.zeros(people_count, joint_count, dtype=torch.bool),
        "attributes": torch.full((people_count, attribute_count), float("nan")),
        "mirrored": torch.zeros(people_count, dtype=torch.bool),
        "truth_px": joints_px,
        "box_px": torch.tensor([0.0, 0, size_px, size_px]).repeat(people_count, 1),
        "torso_px": torch.full((people_count,), size_px / 2),
        "row": torch.arange(people_count),
    }


def collate(samples: Sample | list[Sample]) -> Sample:
    """Stack samples to a batch; return what `PeopleDataset.__getitems__` has already made a batch unchanged."""
    if isinstance(samples, dict):
        return samples
    batch: Sample = default_collate(samples)
    return batch


class PeopleDataset(Dataset[Sample]):
    """The people of one split, as samples for the network.

    Args:
        crops: (person, size, size, 3) crops of the whole pack, memory-mapped: training crops, or test crops.
        labels: labels of the whole pack.
        rows: (row,) rows in the pack of this split's people.
        augmentation: augmentation of the crops; None serves them unchanged.
        seed: seed of the augmentation; a sample depends on (seed, epoch, row) alone.
        size_px: side of the network's input, which every view must have; None: the crops' side.
    """

    def __init__(
        self,
        crops: UInt8[np.ndarray, "person size size 3"],
        labels: Labels,
        rows: Int[np.ndarray, " row"],
        augmentation: Augmentation | None = None,
        seed: int = 0,
        size_px: int | None = None,
    ) -> None:
        self.crops, self.labels, self.rows = crops, labels, rows
        self.size_px = crops.shape[1] if size_px is None else size_px
        self.augmentation, self.seed = augmentation, seed
        self.batch_augmentation = None if augmentation is None else batch_augmentation_of(augmentation)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the path of memory-mapped crops instead of a copy of them.

        A worker process that is not a fork then maps the file itself.
        """
        crops: Any = self.crops
        mapped = isinstance(crops, np.memmap) and not isinstance(crops.base, np.ndarray)  # the whole file, not a slice
        return self.__dict__ | ({"crops": Path(crops.filename)} if mapped else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self.crops, Path):
            self.crops = np.load(self.crops, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | tuple[int, int]) -> Sample:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        row = int(self.rows[index])
        crop, box = np.asarray(self.crops[row]), self.labels.box_px[row]
        joints, occluded = image_to_crop(self.labels.joints_px[row], box, len(crop)), self.labels.occluded[row]
        view = CropView(crop, joints, False)
        if self.augmentation is not None:
            view = self.augmentation(crop, joints, np.random.default_rng([self.seed, epoch, row]))
            check_size(view.image, self.size_px)
            if view.mirrored:
                occluded = occluded[self.augmentation.mirror_order]
        return {
            "image": torch.from_numpy(np.ascontiguousarray(view.image.transpose(2, 0, 1))),
            "joints_px": torch.from_numpy(view.joints_px.astype(np.float32)),
            "occluded": torch.from_numpy(occluded.copy()),
            "attributes": torch.from_numpy(self.labels.attributes[row].astype(np.float32)),
            "mirrored": torch.tensor(view.mirrored),
            "truth_px": torch.from_numpy(self.labels.joints_px[row].astype(np.float32)),
            "box_px": torch.from_numpy(box.astype(np.float32)),
            "torso_px": torch.tensor(self.labels.torso_px[row], dtype=torch.float32),
            "row": torch.tensor(row),
        }

    def __getitems__(self, keys: Sequence[int | tuple[int, int]]) -> Sample | list[Sample]:
        """Return the samples of a batch as one `Sample`; as a list, if only single samples can be augmented."""
        if self.augmentation is not None and self.batch_augmentation is None:
            return [self[key] for key in keys]
        epochs, indices = np.array([key if isinstance(key, tuple) else (0, key) for key in keys]).T
        rows = self.rows[indices]
        crops = np.asarray(self.crops)
        joints = image_to_crop(self.labels.joints_px[rows], self.labels.box_px[rows, None], crops.shape[1])
        occluded, mirrored = self.labels.occluded[rows], np.zeros(len(rows), dtype=bool)
        if self.augmentation is None or self.batch_augmentation is None:
            images = crops[rows]
        else:
            images, joints, mirrored = self.batch_augmentation(crops, rows, joints, self.seed, epochs)
            check_size(images[0], self.size_px)
            occluded[mirrored] = occluded[mirrored][:, list(self.augmentation.mirror_order)]
        return {
            "image": torch.from_numpy(images).permute(0, 3, 1, 2),
            "joints_px": torch.from_numpy(joints.astype(np.float32)),
            "occluded": torch.from_numpy(occluded),
            "attributes": torch.from_numpy(self.labels.attributes[rows].astype(np.float32)),
            "mirrored": torch.from_numpy(mirrored),
            "truth_px": torch.from_numpy(self.labels.joints_px[rows].astype(np.float32)),
            "box_px": torch.from_numpy(self.labels.box_px[rows].astype(np.float32)),
            "torso_px": torch.from_numpy(self.labels.torso_px[rows].astype(np.float32)),
            "row": torch.from_numpy(rows.astype(np.int64)),
        }

    def all_labels(self) -> Sample:
        """Return the labels of all people of this split as one batch, a `Sample` without "image".

        Joints are in pixels of the test crops.
        """
        rows = self.rows
        return {
            "joints_px": self.joints_px(),
            "occluded": torch.from_numpy(self.labels.occluded[rows]),
            "attributes": torch.from_numpy(self.labels.attributes[rows].astype(np.float32)),
            "mirrored": torch.zeros(len(rows), dtype=torch.bool),
            "truth_px": torch.from_numpy(self.labels.joints_px[rows].astype(np.float32)),
            "box_px": torch.from_numpy(self.labels.box_px[rows].astype(np.float32)),
            "torso_px": torch.from_numpy(self.labels.torso_px[rows].astype(np.float32)),
            "row": torch.from_numpy(np.asarray(rows)),
        }

    def mean_image(self) -> Float[Tensor, "3 size size"]:
        """Return the mean image of the crops of this split, with values from 0 to 255 (FACTS 3)."""
        total = np.zeros(self.crops.shape[1:])
        for row in self.rows:
            total += self.crops[row]
        return torch.from_numpy((total / len(self.rows)).transpose(2, 0, 1).astype(np.float32))

    def joints_px(self) -> Float[Tensor, "row joint 2"]:
        """Return the joints of all people of this split in pixels of the test crop, NaN where unknown."""
        joints = image_to_crop(self.labels.joints_px[self.rows], self.labels.box_px[self.rows, None], self.size_px)
        return torch.from_numpy(joints.astype(np.float32))

    def mean_pose_px(self) -> Float[Tensor, "joint 2"]:
        """Return each joint's mean known position, in pixels of `crops`; the crop's centre if no position is known."""
        size = self.crops.shape[1]
        joints = image_to_crop(self.labels.joints_px[self.rows], self.labels.box_px[self.rows, None], size)
        known = np.isfinite(joints).all(axis=-1)
        mean = np.where(known[..., None], joints, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)[:, None]
        mean[~known.any(axis=0)] = (size - 1) / 2
        return torch.from_numpy(mean.astype(np.float32))

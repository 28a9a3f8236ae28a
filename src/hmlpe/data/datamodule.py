"""The LightningDataModule: a pack's train, validation and test people as loaders."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from torch.utils.data import DataLoader

from hmlpe.data.augment import Augmentation
from hmlpe.data.dataset import EpochSampler, PeopleDataset, Sample
from hmlpe.data.labels import labels_of
from hmlpe.data.pack import Pack, open_pack
from hmlpe.data.split import split_by_image
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton


class PoseDataModule(L.LightningDataModule):
    """Serves a prepared pack.

    Args:
        pack: folder that `hmlpe-prepare` made.
        skeleton: must be the pack's.
        augmentation: of the training crops.
        size_px: side of the network's input.
        sides: "image" or "person", see `labels.labels_of`.
        use_occluded: use occluded joints that have coordinates.
        validation_fraction: share of the training images that validates.
        split_seed: of the validation split.
        subset: use only the first so many people of each split; None: all.
        batch_size: of training; evaluation uses the same.
        workers: loading processes; 0 loads in the training process, which is as fast where cores are few.
        seed: of order and augmentation.

    Raises:
        UserError: no usable pack, or a split without people.
    """

    def __init__(
        self,
        pack: str,
        skeleton: Skeleton,
        augmentation: Augmentation,
        size_px: int,
        sides: str,
        use_occluded: bool,
        validation_fraction: float,
        split_seed: int,
        subset: int | None,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.pack: Pack = open_pack(Path(pack), skeleton)
        labels = labels_of(self.pack.people, skeleton, sides, use_occluded)
        train = self.pack.indices("train")
        if not len(train) or not len(self.pack.indices("test")):
            raise UserError(f"{pack}: the pack needs train and test people; it has {self.pack.manifest['counts']}")
        kept, validating = split_by_image(self.pack.people.image[train], validation_fraction, split_seed)
        chosen = {"train": train[kept], "val": train[validating], "test": self.pack.indices("test")}
        rows = {name: part[:subset] for name, part in chosen.items()}
        if len(rows["train"]) < batch_size:
            raise UserError(f"optim.batch_size: {batch_size} is more than the {len(rows['train'])} training people")
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.plain = {name: PeopleDataset(self.pack.crops, labels, part, size_px) for name, part in rows.items()}
        self.augmented = PeopleDataset(self.pack.crops, labels, rows["train"], size_px, augmentation, seed)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Augmented people in another order each epoch; the incomplete last batch is left out."""
        sampler = EpochSampler(len(self.augmented), self.seed)
        if self.trainer is not None:  # Lightning starts the first epoch's iterator before it calls set_epoch
            sampler.set_epoch(self.trainer.current_epoch)
        return self._loader(self.augmented, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Validation people, test-crop rule."""
        return self.evaluation_loader("val")

    def evaluation_loader(self, split: str) -> DataLoader[Sample]:
        """People of a split ("train", "val" or "test"), all of them, in order, by the test-crop rule."""
        return self._loader(self.plain[split])

    def people(self) -> dict[str, int]:
        """On how many people each split stands, and how many of the set's test people are left out."""
        counts = self.pack.manifest["counts"]
        return {
            **{name: len(dataset) for name, dataset in self.plain.items()},
            "test_annotated": int(counts["annotated_test"]),
            "test_missing_images": int(counts["annotated_test"]) - int(counts["test"]),
        }

    def _loader(
        self, dataset: PeopleDataset, sampler: EpochSampler | None = None, drop_last: bool = False
    ) -> DataLoader[Sample]:
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )

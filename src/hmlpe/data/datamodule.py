"""The LightningDataModule: a pack's train, validation and test people as loaders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import lightning as L
import numpy as np
from jaxtyping import Int
from torch.utils.data import DataLoader, Sampler

from hmlpe.data.augment import Augmentation
from hmlpe.data.dataset import PeopleDataset, Sample
from hmlpe.data.leaks import count_neighbours
from hmlpe.data.pack import Pack, labels_of, open_pack
from hmlpe.data.record import Attribute
from hmlpe.data.selection import MISSING, set_names
from hmlpe.data.split import scenes, split_by_scene
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton


class EpochSampler(Sampler[tuple[int, int]]):
    """A shuffle that is a function of (seed, epoch); yields (epoch, index): a sample knows its epoch in any worker.

    Args:
        length: number of people; an epoch yields as many.
        seed: of the order.
        groups: (person,) the set that each person is of: every set then gives the same share of an epoch, its people
            one after another in a new order until the share is full. None: everyone once.
        batch: people of a step, over all processes.
        rank, world: number of this process, and of all, which divides `batch`. One of several yields its share of each
            batch of one process, in that order, and nothing of an incomplete last one.
    """

    def __init__(
        self, length: int, seed: int, groups: np.ndarray | None = None, batch: int = 1, rank: int = 0, world: int = 1
    ) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        self.batch, self.rank, self.world = batch, rank, world
        self.members = None if groups is None else [np.flatnonzero(groups == name) for name in np.unique(groups)]

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length if self.world == 1 else self.length // self.batch * (self.batch // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.length) if self.members is None else self._balanced(rng)
        if self.world > 1:
            whole = order[: self.length // self.batch * self.batch]
            order = whole.reshape(-1, self.world, self.batch // self.world)[:, self.rank].flatten()
        return iter((self.epoch, int(index)) for index in order)

    def _balanced(self, rng: np.random.Generator) -> Int[np.ndarray, " length"]:
        members = self.members or []
        shares = np.full(len(members), self.length // len(members))
        shares[: self.length % len(members)] += 1
        chosen = []
        for rows, share in zip(members, shares, strict=True):
            rounds = -(-int(share) // len(rows))
            chosen.append(np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:share])
        return rng.permutation(np.concatenate(chosen))


class LateLoader(DataLoader[Sample]):
    """A loader whose iterator begins with its first batch, and not before: in the epoch that its sampler is in by then.

    Lightning makes the first one as it asks for the number of steps: of a run that goes on, before it knows the epoch,
    and loading processes fetch ahead.
    """

    def __iter__(self) -> Iterator[Sample]:  # type: ignore[override]  # Lightning and we ask for no more than batches
        yield from super().__iter__()


class PoseDataModule(L.LightningDataModule):
    """Serves a prepared pack.

    Args:
        pack: folder that `hmlpe-prepare` made.
        skeleton: must be the pack's.
        augmentation: of the training crops; None: they are served as they are.
        size_px: side of the network's input.
        sides: "image" or "person", see `labels.labels_of`.
        use_occluded: use occluded joints that have coordinates.
        validation_fraction: share of the training images that validates, by whole scenes (`split.scenes`). It is cut
            from the whole pack, so that a person who validates in one choice of sets never trains in another.
        split_seed: of the validation split.
        subset: use only so many people of each split, of each set the first ones; None: all.
        batch_size: of training, over all processes; evaluation uses the same.
        workers: loading processes; 0 loads in the training process, which is as fast where cores are few.
        seed: of order and augmentation.
        train_sets: names of the sets of the pack that train and validate; None: all. Those that the manifest calls
            absent do not count.
        test_sets: the same for testing.
        balanced: every training set gives the same share of an epoch.
        rank, world: number of this process, and of all: it serves its share of each training batch, and of the people
            of a split every `world`-th, so that all together serve what one process serves.

    Raises:
        UserError: no usable pack, or one for another input; a split without people, or with fewer than processes; an
            augmentation that gives what the network must not be fed.
    """

    def __init__(
        self,
        pack: str,
        skeleton: Skeleton,
        augmentation: Augmentation | None,
        size_px: int,
        sides: str,
        use_occluded: bool,
        validation_fraction: float,
        split_seed: int,
        subset: int | None,
        batch_size: int,
        workers: int,
        seed: int,
        train_sets: str | Sequence[str] | None = None,
        test_sets: str | Sequence[str] | None = None,
        balanced: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__()
        self.rank, self.world = rank, world
        self.pack: Pack = open_pack(Path(pack), skeleton)
        self.pack.check_size(size_px)
        if augmentation is not None:
            augmentation.check(size_px, self.pack.size_px)
        people = self.pack.people
        self.attributes: tuple[Attribute, ...] = self.pack.attributes  # what `attributes` of a sample are, in order
        labels = labels_of(people, skeleton, sides, use_occluded)
        train = self.pack.indices("train")
        if not len(train) or not len(self.pack.indices("test")):
            raise UserError(f"{pack}: the pack needs train and test people; it has {self.pack.manifest['counts']}")
        images, identities = people.image_ids[train], people.person_ids[train]
        distance = self.pack.manifest["near_duplicates"]
        scene = scenes(
            images, identities, people.hash[train], distance, people.crop_hash[train], people.shot_ids[train]
        )
        kept, validating = split_by_scene(images, scene, validation_fraction, split_seed)
        chosen = {
            "train": self._of(train[kept], train_sets, "data.train_sets"),
            "val": self._of(train[validating], train_sets, "data.train_sets"),
            "test": self._of(self.pack.indices("test"), test_sets, "data.test_sets"),
        }
        self.tested = [str(name) for name in np.unique(people.set[chosen["test"]])]  # whose people are tested
        if len(self.tested) > 1:
            chosen |= {f"test_{name}": chosen["test"][people.set[chosen["test"]] == name] for name in self.tested}
        rows = {name: some_of_each(part, people.set[part], subset) for name, part in chosen.items()}
        if len(rows["train"]) < batch_size:
            raise UserError(f"optim.batch_size: {batch_size} is more than the {len(rows['train'])} training people")
        least = min(rows, key=lambda name: len(rows[name]))
        if len(rows[least]) < world:  # one without people would leave the others waiting
            raise UserError(f"trainer.devices: {world} are more than the {len(rows[least])} people of {least}")
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.plain = {name: PeopleDataset(self.pack.test_crops, labels, part) for name, part in rows.items()}
        self.augmented = PeopleDataset(self.pack.crops, labels, rows["train"], augmentation, seed, size_px)
        self.groups = people.set[rows["train"]] if balanced else None

    @property
    def test_splits(self) -> list[str]:
        """The test people of each set apart, where there are several sets: names of splits."""
        return [name for name in self.plain if name.startswith("test_")]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Augmented people in another order each epoch; the incomplete last batch is left out."""
        sampler = EpochSampler(len(self.augmented), self.seed, self.groups, self.batch_size, self.rank, self.world)
        return self._loader(self.augmented, sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Validation people, test-crop rule."""
        return self.evaluation_loader("val")

    def evaluation_loader(self, split: str) -> DataLoader[Sample]:
        """People of a split ("train", "val", "test", "test_<set>"), all of them, in order, by the test-crop rule.

        Of several processes each has its share; they differ in number by one at most.
        """
        people = self.plain[split]
        return self._loader(people, range(self.rank, len(people), self.world))

    def people(self) -> dict[str, int]:
        """On how many people each split stands, how many of the sets' test people are left out, and have neighbours."""
        tested = [self.pack.manifest["sets"][name] for name in self.tested]
        annotated = sum(one["counts"]["annotated_test"] for one in tested)
        missing = sum(one["skipped_counts"].get(MISSING, {"test": 0})["test"] for one in tested)
        return {
            **{name: len(dataset) for name, dataset in self.plain.items()},
            "test_annotated": annotated,
            "test_missing_images": missing,
            "test_neighbours": self.neighbours()["train_test"]["test_people"],
        }

    def neighbours(self) -> dict[str, dict[str, int]]:
        """How many people and images of each two of training, validation and test lie in shots of both."""
        people = self.pack.people
        splits = {name: self.plain[name].rows for name in ("train", "val", "test")}
        return count_neighbours(people.shot_ids, people.image_ids, splits)

    def _of(self, rows: np.ndarray, wanted: str | Sequence[str] | None, setting: str) -> np.ndarray:
        """The rows of the named sets."""
        if wanted is None:
            return rows
        names = set_names(wanted, setting)
        there, absent = list(self.pack.manifest["sets"]), self.pack.manifest["absent"]
        unknown = [name for name in names if name not in there and name not in absent]
        if unknown:
            raise UserError(f"{setting}: the pack has no set {unknown[0]!r}; it has {', '.join(there)}")
        found = rows[np.isin(self.pack.people.set[rows], names)]
        if not len(found):
            raise UserError(f"{setting}: the pack has no people of {', '.join(names)} for this; it has {there}")
        return found

    def _loader(
        self, dataset: PeopleDataset, sampler: EpochSampler | range, drop_last: bool = False
    ) -> DataLoader[Sample]:
        return LateLoader(
            dataset,
            batch_size=self.batch_size // self.world,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )


def some_of_each(rows: np.ndarray, sets: np.ndarray, count: int | None) -> np.ndarray:
    """`count` of the rows, in order: the first ones of each set in turn, until there are enough."""
    if count is None:
        return rows
    turn = np.empty(len(rows), dtype=np.int64)  # the how manieth of its set a row is
    for name in np.unique(sets):
        turn[sets == name] = np.arange((sets == name).sum())
    return np.asarray(rows[np.sort(np.argsort(turn, kind="stable")[:count])])

"""The LightningDataModule that serves a pack's training, validation and test people."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import lightning as L
import numpy as np
from jaxtyping import Int
from torch.utils.data import DataLoader, Sampler

from hmlpe.data.augment import Augmentation
from hmlpe.data.dataset import PeopleDataset, Sample, collate
from hmlpe.data.leaks import count_neighbours
from hmlpe.data.pack import Pack, labels_of, open_pack
from hmlpe.data.record import Attribute
from hmlpe.data.selection import MISSING, parse_set_names
from hmlpe.data.split import assign_scenes, split_by_scene
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton


class EpochSampler(Sampler[tuple[int, int]]):
    """A sampler that shuffles by (seed, epoch) alone and yields (epoch, index): a sample knows its epoch in any worker.

    Args:
        length: number of people in the data set, and of indices per epoch.
        seed: seed of the random order.
        groups: (person,) the data set of each person. Every set then gives the same share of an epoch: its people in
            random order, repeated in new orders until the share is full. None: everyone once.
        batch_size: number of people in a step, over all processes.
        rank, world: rank of this process, and number of processes, by which `batch_size` must be divisible. Each of
            several processes yields its share of every batch that a single process would yield, in the same order;
            the last incomplete batch is left out.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        groups: np.ndarray | None = None,
        batch_size: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.length, self.seed, self.epoch = length, seed, 0
        self.batch, self.rank, self.world = batch_size, rank, world
        self.members = None if groups is None else [np.flatnonzero(groups == name) for name in np.unique(groups)]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, whose number seeds the order; Lightning's trainer calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length if self.world == 1 else self.length // self.batch * (self.batch // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(self.length) if self.members is None else self._balanced_order(rng)
        if self.world > 1:
            whole = order[: self.length // self.batch * self.batch]
            order = whole.reshape(-1, self.world, self.batch // self.world)[:, self.rank].flatten()
        return iter((self.epoch, int(index)) for index in order)

    def _balanced_order(self, rng: np.random.Generator) -> Int[np.ndarray, " length"]:
        """Return an epoch's indices in random order, an equal share of them from each group."""
        members = self.members or []
        shares = np.full(len(members), self.length // len(members))
        shares[: self.length % len(members)] += 1
        chosen = []
        for rows, share in zip(members, shares, strict=True):
            rounds = -(-int(share) // len(rows))
            chosen.append(np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:share])
        return rng.permutation(np.concatenate(chosen))


class DeferredLoader(DataLoader[Sample]):
    """A DataLoader whose sampler is asked for its epoch when the first batch is requested, not when iter() is called.

    Lightning makes the first iterator when it asks for the number of steps. If a run is resumed, Lightning does not yet
    know the epoch then, and worker processes would already prefetch samples of the wrong epoch.

    SIGINT is blocked in worker processes: this process ends the workers on Ctrl-C, and a worker that is just starting
    would otherwise print a traceback of its own.
    """

    def __iter__(self) -> Iterator[Sample]:  # type: ignore[override]  # Lightning and we only iterate over batches
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            batches = super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield from batches


class PoseDataModule(L.LightningDataModule):
    """The LightningDataModule that serves the people of a prepared pack for training and evaluation.

    Args:
        pack: folder that `hmlpe-prepare` made.
        skeleton: must equal the pack's skeleton.
        augmentation: augmentation of the training crops; None serves them unchanged.
        size_px: side of the network's input.
        sides: meaning of left and right in the labels, "image" or "person", see `pack.labels_of`.
        use_occluded: whether occluded joints that have coordinates are used.
        validation_fraction: share of the training images used for validation, by whole scenes (`split.assign_scenes`).
            It is cut from the whole pack, so that a validation person of one choice of sets is never a training person
            of another.
        split_seed: seed of the validation split.
        subset: number of people of each split that are used, the first ones of each set in turn; None: all.
        batch_size: number of people in a batch, over all processes, in training and evaluation.
        workers: number of worker processes that load samples; 0 loads in the training process, which is as fast
            where cores are few.
        seed: seed of the training order and the augmentation.
        train_sets: names of the pack's sets used for training and validation; None: all. Names that the manifest lists
            as absent are ignored.
        test_sets: names of the pack's sets used for testing; None: all.
        balanced: every training set gives the same share of an epoch.
        rank, world: rank of this process, and number of processes. Each process serves its share of each training
            batch, and every `world`-th person of an evaluation split, so that all processes together serve what a
            single process would.

    Raises:
        UserError: the pack is not usable or made for another input size; a split has no people, or fewer than there are
            processes; or the augmentation gives views that the network cannot take.
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
        self.attributes: tuple[Attribute, ...] = self.pack.attributes  # in the order of a sample's `attributes`
        labels = labels_of(people, skeleton, sides, use_occluded)
        train = self.pack.rows_of_split("train")
        if not len(train) or not len(self.pack.rows_of_split("test")):
            raise UserError(f"{pack}: the pack needs train and test people; it has {self.pack.manifest['counts']}")
        images, identities = people.image_ids[train], people.person_ids[train]
        distance = self.pack.manifest["near_duplicates"]
        scene = assign_scenes(
            images, identities, people.hash[train], distance, people.crop_hash[train], people.shot_ids[train]
        )
        kept, validating = split_by_scene(images, scene, validation_fraction, split_seed)
        chosen = {
            "train": self._rows_in_sets(train[kept], train_sets, "data.train_sets"),
            "val": self._rows_in_sets(train[validating], train_sets, "data.train_sets"),
            "test": self._rows_in_sets(self.pack.rows_of_split("test"), test_sets, "data.test_sets"),
        }
        self.tested_sets = [str(name) for name in np.unique(people.set[chosen["test"]])]  # names of the tested sets
        if len(self.tested_sets) > 1:
            chosen |= {f"test_{name}": chosen["test"][people.set[chosen["test"]] == name] for name in self.tested_sets}
        rows = {name: first_rows_of_each_set(part, people.set[part], subset) for name, part in chosen.items()}
        if len(rows["train"]) < batch_size:
            raise UserError(f"optim.batch_size: {batch_size} is more than the {len(rows['train'])} training people")
        least = min(rows, key=lambda name: len(rows[name]))
        if len(rows[least]) < world:  # the other processes would wait for one without people
            raise UserError(f"trainer.devices: {world} is more than the {len(rows[least])} people of {least}")
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.plain = {name: PeopleDataset(self.pack.test_crops, labels, part) for name, part in rows.items()}
        self.augmented = PeopleDataset(self.pack.crops, labels, rows["train"], augmentation, seed, size_px)
        self.groups = people.set[rows["train"]] if balanced else None

    @property
    def test_splits(self) -> list[str]:
        """Return the names of the splits that hold the test people of one set each; empty if only one set is tested."""
        return [name for name in self.plain if name.startswith("test_")]

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of batches of augmented training people, in a new order each epoch.

        The last incomplete batch is dropped.
        """
        sampler = EpochSampler(len(self.augmented), self.seed, self.groups, self.batch_size, self.rank, self.world)
        return self._make_loader(self.augmented, sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of batches of validation people, with test crops (`pack.Pack.test_crops`)."""
        return self.evaluation_loader("val")

    def evaluation_loader(self, split: str) -> DataLoader[Sample]:
        """Return the loader of batches of all people of a split, in order, with test crops (`pack.Pack.test_crops`).

        With several processes each serves its share; the shares differ by at most one person.

        Args:
            split: "train", "val", "test" or "test_<set>".
        """
        people = self.plain[split]
        return self._make_loader(people, range(self.rank, len(people), self.world))

    def count_people(self) -> dict[str, int]:
        """Count the people of each split, and the test people of some kinds, for the result of a run.

        These are the test people who are annotated ("test_annotated"), whose image is missing
        ("test_missing_images"), or whose shot has training people, too ("test_neighbours").
        """
        tested = [self.pack.manifest["sets"][name] for name in self.tested_sets]
        annotated = sum(one["counts"]["annotated_test"] for one in tested)
        missing = sum(one["skipped_counts"].get(MISSING, {"test": 0})["test"] for one in tested)
        return {
            **{name: len(dataset) for name, dataset in self.plain.items()},
            "test_annotated": annotated,
            "test_missing_images": missing,
            "test_neighbours": self.count_neighbours()["train_test"]["test_people"],
        }

    def count_neighbours(self) -> dict[str, dict[str, int]]:
        """Count, for every two of training, validation and test, the shots in both, and their people and images.

        The keys are described in `leaks.count_neighbours`, e.g. "train_test" -> "test_people".
        """
        people = self.pack.people
        splits = {name: self.plain[name].rows for name in ("train", "val", "test")}
        return count_neighbours(people.shot_ids, people.image_ids, splits)

    def _rows_in_sets(self, rows: np.ndarray, selected_sets: str | Sequence[str] | None, setting: str) -> np.ndarray:
        """Return those rows whose people are of the selected sets; None selects all.

        Raises:
            UserError: the pack does not know a set, or no row is left; the message names `setting`.
        """
        if selected_sets is None:
            return rows
        names = parse_set_names(selected_sets, setting)
        there, absent = list(self.pack.manifest["sets"]), self.pack.manifest["absent"]
        unknown = [name for name in names if name not in there and name not in absent]
        if unknown:
            raise UserError(f"{setting}: the pack has no set {unknown[0]!r}; it has {', '.join(there)}")
        found = rows[np.isin(self.pack.people.set[rows], names)]
        if not len(found):
            raise UserError(f"{setting}: the pack has no people of {', '.join(names)} for this; it has {there}")
        return found

    def _make_loader(
        self, dataset: PeopleDataset, sampler: EpochSampler | range, drop_last: bool = False
    ) -> DataLoader[Sample]:
        return DeferredLoader(
            dataset,
            batch_size=self.batch_size // self.world,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.workers,
            collate_fn=collate,
            persistent_workers=self.workers > 0,
        )


def first_rows_of_each_set(rows: np.ndarray, sets: np.ndarray, count: int | None) -> np.ndarray:
    """Return at most `count` of the rows: the first row of each set, then the second of each, and so on.

    Args:
        rows: (row,) rows of a pack.
        sets: (row,) the set of each row.
        count: number of rows to return; None: all.

    Returns:
        The chosen rows, in the order of `rows`.
    """
    if count is None:
        return rows
    turn = np.empty(len(rows), dtype=np.int64)  # position of each row within its set
    for name in np.unique(sets):
        turn[sets == name] = np.arange((sets == name).sum())
    return np.asarray(rows[np.sort(np.argsort(turn, kind="stable")[:count])])

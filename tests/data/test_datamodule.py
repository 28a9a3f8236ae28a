"""The datamodule: labels lie on the pixels they name, samples depend on (seed, epoch, person) and on nothing else."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import albumentations as A
import lightning as L
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hmlpe.data.augment import Augmentation, CropView
from hmlpe.data.boxes import BoxRule
from hmlpe.data.datamodule import DeferredLoader, EpochSampler, PoseDataModule, first_rows_of_each_set
from hmlpe.data.dataset import Sample
from hmlpe.data.prepare import prepare
from hmlpe.data.selection import DataSet
from hmlpe.data.sources.flic import FlicSource
from hmlpe.errors import UserError
from hmlpe.geometry import crop_resized, crop_to_image
from hmlpe.skeleton import Skeleton

from .conftest import POSE, Watched, backwards, coords, person, picture, write_flic

L_ELBOW, L_WRIST, R_WRIST = 4, 6, 7
NAN = float("nan")
Module = Callable[..., PoseDataModule]


def pack_of(root: Path, skeleton: Skeleton, boxes: BoxRule, crop_px: int, size_px: int = 28) -> str:
    """Prepare the FLIC folder root/flic as root/pack."""
    source = FlicSource(str(root / "flic"), skeleton)
    prepare([DataSet(source, boxes)], skeleton, root / "pack", crop_px, size_px, workers=1)
    return str(root / "pack")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton, boxes: BoxRule) -> str:
    """20 train people in 15 images, 5 test people; no left elbow is known, nor is the left wrist of two of three."""
    root = tmp_path_factory.mktemp("tiny")
    people = []
    for index in range(25):
        split = "train" if index < 20 else "test"
        shift = {name: (x + index % 4, y + index % 3) for name, (x, y) in POSE.items()}
        joints = coords(**{**shift, "lelb": (NAN, NAN)})
        if index % 3:
            joints[:, 2] = NAN
        box = np.array([[30 + index % 5, 16, 42 + index % 2, 40]])
        people.append(person(f"{split}{index % 15}.png", split, coords=joints, torsobox=box))
    write_flic(root / "flic", people)
    return pack_of(root, skeleton, boxes, 32)


@pytest.fixture
def module(tiny: str, skeleton: Skeleton) -> Module:
    """A datamodule of the tiny pack: crops of 32, views of 28; settings can be changed."""

    def make(**settings: Any) -> PoseDataModule:
        return PoseDataModule(**{
            "pack": tiny, "skeleton": skeleton, "augmentation": Augmentation([A.RandomCrop(28, 28)], 0.5, skeleton),
            "size_px": 28, "sides": "image", "use_occluded": True, "validation_fraction": 0.2, "split_seed": 0,
            "subset": None, "batch_size": 4, "workers": 0, "seed": 1, **settings,
        })  # fmt: skip

    return make


def epoch_of(loader: DataLoader[Sample], epoch: int) -> list[Sample]:
    """The batches of one epoch, as the trainer asks for them."""
    assert isinstance(loader.sampler, EpochSampler)
    loader.sampler.set_epoch(epoch)
    return list(loader)


def assert_same(first: list[Sample], second: list[Sample]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=0, atol=0, equal_nan=True, msg=name)


def test_a_batch(module: Module) -> None:
    batch = next(iter(module().train_dataloader()))
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in batch.items()}
    assert shapes == {
        "image": ((4, 3, 28, 28), torch.uint8), "joints_px": ((4, 8, 2), torch.float32),
        "truth_px": ((4, 8, 2), torch.float32), "box_px": ((4, 4), torch.float32), "torso_px": ((4,), torch.float32),
        "row": ((4,), torch.int64), "occluded": ((4, 8), torch.bool), "attributes": ((4, 0), torch.float32),
        "mirrored": ((4,), torch.bool),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with one core
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")  # Python 3.12 and later
def test_batches_are_the_same_for_any_number_of_workers(module: Module) -> None:
    loaders = [module(workers=workers).train_dataloader() for workers in (0, 1, 2)]
    for epoch in (0, 1):
        first, *others = [epoch_of(loader, epoch) for loader in loaders]
        for other in others:
            assert_same(first, other)


def test_a_pack_is_mapped_by_every_process_and_copied_by_none(module: Module) -> None:
    """A dataset that is sent to another process (spawned, as on macOS) takes the file's name, not the crops."""
    dataset = module().augmented
    sent = pickle.dumps(dataset)
    got = pickle.loads(sent)
    assert isinstance(dataset.crops, np.memmap) and isinstance(got.crops, np.memmap)
    assert not dataset.crops.flags.writeable and not got.crops.flags.writeable
    assert bytes(dataset.crops[0]) not in sent
    for key in ((0, 0), (1, 3)):
        assert_same([dataset[key]], [got[key]])
    dataset.crops = dataset.crops[2:]  # a part of the file is no file
    assert np.array_equal(pickle.loads(pickle.dumps(dataset)).crops, dataset.crops)


def test_the_same_seed_gives_the_same_batches_another_gives_others(module: Module) -> None:
    first, again, other = (epoch_of(module(seed=seed).train_dataloader(), 3) for seed in (1, 1, 2))
    assert_same(first, again)
    assert not torch.equal(first[0]["image"], other[0]["image"])


def test_global_random_state_has_no_say(module: Module) -> None:
    torch.manual_seed(1)
    first = epoch_of(module().train_dataloader(), 0)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002 - the global state is meant
    assert_same(first, epoch_of(module().train_dataloader(), 0))


def test_a_sample_is_another_view_in_every_epoch(module: Module) -> None:
    dataset = module().augmented
    views = {dataset[epoch, 0]["image"].numpy().tobytes() for epoch in range(12)}
    assert len(views) > 6
    torch.testing.assert_close(dataset[5, 0]["image"], dataset[5, 0]["image"])
    plain = module().plain["train"]
    assert {plain[epoch, 0]["image"].numpy().tobytes() for epoch in range(3)} == {plain[0]["image"].numpy().tobytes()}


def test_seeds_epochs_and_people_draw_independently(module: Module) -> None:
    """A sum of the three, say, would give one person's view to the next person in the next epoch."""
    recorder = _Recorder()
    for seed in (1, 2, 3):
        dataset = module(seed=seed, augmentation=recorder).augmented
        for epoch in range(4):
            for index in range(len(dataset)):
                dataset[epoch, index]
    assert len(recorder.drawn) > 150 and len(set(recorder.drawn)) == len(recorder.drawn)
    assert 0.4 < np.mean(recorder.drawn) < 0.6


class _Recorder(Augmentation):
    """Cuts the corner, and notes the first number that its generator gives."""

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def check(self, size_px: int, crop_px: int) -> None:
        """There is no transform."""

    def __call__(self, crop: Any, joints_px: Any, rng: np.random.Generator) -> Any:
        self.drawn.append(rng.random())
        return CropView(crop[:28, :28], joints_px, False)


def test_the_sampler_shuffles_everyone_anew_each_epoch() -> None:
    sampler = EpochSampler(50, seed=0)
    orders = []
    for epoch in (0, 1, 7):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {key[0] for key in keys} == {epoch}
        assert sorted(key[1] for key in keys) == list(range(50)) and keys == list(sampler)
        orders.append([key[1] for key in keys])
    assert len({tuple(order) for order in [*orders, range(50)]}) == 4
    resumed = EpochSampler(50, seed=0)  # a fresh process goes on with the epoch it is told
    resumed.set_epoch(7)
    assert [key[1] for key in resumed] == orders[-1]
    assert list(EpochSampler(50, seed=1)) != list(EpochSampler(50, seed=0))


class _Listener(L.LightningModule):
    """Learns nothing; notes what the trainer feeds it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[Tensor]] = {}

    def training_step(self, batch: Sample) -> Tensor:
        self.seen.setdefault(self.current_epoch, []).append(batch["image"])
        return self.weight * 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches  # as for a schedule: it makes the loader, and begins to iterate
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*`val_dataloader`")
@pytest.mark.filterwarnings("ignore:.*validation_step")
def test_the_trainer_gives_every_epoch_its_own_views(module: Module) -> None:
    listener, data = _Listener(), module()
    L.Trainer(max_epochs=3, accelerator="cpu", barebones=True, limit_val_batches=0).fit(listener, data)
    loader = module().train_dataloader()
    for epoch in range(3):
        expected = [batch["image"] for batch in epoch_of(loader, epoch)]
        torch.testing.assert_close(torch.cat(listener.seen[epoch]), torch.cat(expected), rtol=0, atol=0)
    assert not torch.equal(listener.seen[0][0], listener.seen[1][0])


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*`val_dataloader`")
@pytest.mark.filterwarnings("ignore:.*validation_step")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with one core
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")  # Python 3.12 and later
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")  # no more states are kept
def test_a_resumed_run_sees_what_an_undisturbed_one_does(module: Module, workers: int, tmp_path: Path) -> None:
    """Stopped after any epoch, as a state is kept: loading processes fetch ahead, before the epoch begins."""
    loader, epochs = module().train_dataloader(), 4
    expected = [torch.cat([batch["image"] for batch in epoch_of(loader, epoch)]) for epoch in range(epochs)]

    def fit(start: Path | None) -> _Listener:
        listener = _Listener()
        keeping = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        trainer = L.Trainer(max_epochs=epochs, accelerator="cpu", limit_val_batches=0, logger=False,
                            callbacks=[] if start else [keeping], enable_checkpointing=not start,
                            enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
        trainer.fit(listener, module(workers=workers), ckpt_path=start, weights_only=True)
        return listener

    fit(None)
    for stopped in range(epochs - 1):
        seen = fit(tmp_path / f"epoch={stopped}.ckpt").seen
        assert list(seen) == list(range(stopped + 1, epochs))
        for epoch, images in seen.items():
            same = torch.equal(torch.cat(images), expected[epoch])
            assert same, f"epoch {epoch} of a run that was stopped after epoch {stopped}"


def test_the_incomplete_last_batch_of_training_is_left_out(module: Module) -> None:
    data = module(batch_size=6)
    people = len(data.augmented)
    assert people % 6
    assert [len(batch["image"]) for batch in data.train_dataloader()] == [6] * (people // 6)
    assert sum(len(batch["image"]) for batch in data.evaluation_loader("train")) == people


def test_no_image_is_in_two_splits_and_everyone_is_in_one(module: Module) -> None:
    data = module()
    rows = {name: dataset.rows for name, dataset in data.plain.items()}
    assert sorted(np.concatenate(list(rows.values()))) == list(range(25))
    images = {name: set(data.pack.people.image[part]) for name, part in rows.items()}
    assert not images["train"] & images["val"] and not (images["train"] | images["val"]) & images["test"]
    assert len(images["val"]) == 3 and set(data.pack.people.split[rows["test"]]) == {"test"}
    np.testing.assert_array_equal(data.augmented.rows, rows["train"])
    counts = {name: len(part) for name, part in rows.items()}
    assert data.count_people() == {**counts, "test_annotated": 5, "test_missing_images": 0, "test_neighbours": 0}


def test_the_split_does_not_move_with_the_runs_seed(module: Module) -> None:
    rows = [module(seed=seed).plain["val"].rows for seed in (1, 2)]
    np.testing.assert_array_equal(*rows)
    assert any(set(module(split_seed=seed).plain["val"].rows) != set(rows[0]) for seed in (1, 2, 3))


def test_a_subset_is_the_first_people_of_each_split(module: Module) -> None:
    whole, part = module(), module(subset=4)
    for split, dataset in part.plain.items():
        np.testing.assert_array_equal(dataset.rows, whole.plain[split].rows[:4])
    assert len(part.augmented) == 4 and part.count_people()["train"] == part.count_people()["test"] == 4
    with pytest.raises(UserError, match="batch_size"):
        module(subset=3)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_evaluation_covers_everyone_once_in_order(module: Module, tiny: str, split: str) -> None:
    data = module()
    rows, labels = data.plain[split].rows, data.plain[split].labels
    batches = list(data.evaluation_loader(split))
    assert_same(batches, list(data.evaluation_loader(split)))
    for name, column in (("truth_px", labels.joints_px), ("box_px", labels.box_px), ("torso_px", labels.torso_px)):
        stored = torch.from_numpy(column[rows].astype(np.float32))
        torch.testing.assert_close(torch.cat([b[name] for b in batches]), stored, rtol=0, atol=0, equal_nan=True)
    images = [Path(tiny).parent / "flic" / "images" / name for name in data.pack.people.image[rows]]
    crops = [
        crop_resized(np.asarray(Image.open(image)), box, 28)  # straight from the photo
        for image, box in zip(images, data.pack.people.box_px[rows], strict=True)
    ]
    np.testing.assert_array_equal(torch.cat([b["image"] for b in batches]), np.stack(crops).transpose(0, 3, 1, 2))
    if split == "val":
        assert_same(batches, list(data.val_dataloader()))


def test_test_crop_joints_go_back_to_the_image(module: Module) -> None:
    for batch in module().evaluation_loader("train"):
        back = crop_to_image(batch["joints_px"].double().numpy(), batch["box_px"].double().numpy()[:, None], 28)
        np.testing.assert_allclose(back, batch["truth_px"], atol=1e-3)


def test_mean_image_is_of_the_training_peoples_test_crops(module: Module) -> None:
    data = module()
    images = torch.cat([batch["image"] for batch in data.evaluation_loader("train")]).double()
    mean = data.plain["train"].mean_image()
    assert mean.shape == (3, 28, 28) and mean.dtype == torch.float32
    torch.testing.assert_close(mean.double(), images.mean(0), atol=1e-4, rtol=0)


def test_mean_pose_is_over_the_known_joints(module: Module) -> None:
    data = module()
    mean = data.plain["train"].mean_pose_px()
    joints = torch.cat([batch["joints_px"] for batch in data.evaluation_loader("train")]).numpy()
    assert np.isnan(joints[:, L_WRIST]).any() and np.isfinite(joints[:, L_WRIST]).any()
    assert np.isnan(joints[:, L_ELBOW]).all()
    for joint in range(8):
        expected = [13.5, 13.5] if joint == L_ELBOW else np.nanmean(joints[:, joint], axis=0)  # 13.5: the centre
        np.testing.assert_allclose(mean[joint], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"batch_size": 19}, "batch_size"), ({"validation_fraction": 0.0}, "validation.fraction"),
        ({"sides": "x"}, "sides"), ({"pack": "/nowhere/flic"}, "hmlpe-prepare"),
        ({"skeleton": Skeleton(["head"], {})}, "skeleton"), ({"size_px": 24}, "size_px.*hmlpe-prepare size_px=24"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(module: Module, settings: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word) as raised:
        module(**settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_pack_of_one_split_is_refused(
    tmp_path: Path, module: Module, skeleton: Skeleton, boxes: BoxRule, split: str
) -> None:
    write_flic(tmp_path / "flic", [person(f"{name}.png", split) for name in "abcdef"])
    with pytest.raises(UserError, match="train and test"):
        module(pack=pack_of(tmp_path, skeleton, boxes, 32))


# ---- several sets ----


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton, boxes: BoxRule) -> str:
    """Sets "one" (20 train, 5 test), "two" (7 train, 3 test, one without image, one unseen) and "three" (6 train).

    All call their images alike; "gone" was absent when the pack was made.
    """
    root, sets = tmp_path_factory.mktemp("several"), []
    for name, train, test in (("one", 20, 5), ("two", 7, 3), ("three", 6, 0)):
        people = [person(f"train{i}.png") for i in range(train)] + [person(f"{i}.png", "test") for i in range(test)]
        if name == "two":
            people += [person("lost.png", "test"), person("unseen.png", "test", torsobox=np.full((1, 4), NAN))]
        source = FlicSource(str(write_flic(root / name, people, ["lost.png"])), skeleton)
        sets.append(DataSet(Watched(source, name=name), boxes))
    prepare(sets, skeleton, root / "pack", 32, 28, allow_missing=True, workers=1, absent=["gone"])
    return str(root / "pack")


@pytest.fixture
def pooled(module: Module, several: str) -> Module:
    """A datamodule of the pack of several sets."""
    return lambda **settings: module(pack=several, **settings)


def rows_of(data: PoseDataModule) -> dict[str, set[int]]:
    return {name: set(dataset.rows.tolist()) for name, dataset in data.plain.items()}


def test_every_tested_set_has_a_split_of_its_own(pooled: Module) -> None:
    data = pooled()
    rows, names = rows_of(data), data.pack.people.set
    assert list(rows) == ["train", "val", "test", "test_one", "test_two"]
    assert data.test_splits == ["test_one", "test_two"] and data.tested_sets == ["one", "two"]
    assert rows["test"] == rows["test_one"] | rows["test_two"] and not rows["test_one"] & rows["test_two"]
    assert {name: set(names[list(rows[f"test_{name}"])]) for name in ("one", "two")} == {"one": {"one"}, "two": {"two"}}
    assert sorted([*rows["train"], *rows["val"], *rows["test"]]) == list(range(41))
    assert set(names[[*rows["train"]]]) == {"one", "two", "three"}
    assert sum(len(batch["image"]) for batch in data.evaluation_loader("test_two")) == 3


def test_images_of_one_name_in_two_sets_are_two_images(pooled: Module) -> None:
    """Else they would validate together, and the share of validation would be of 20 names."""
    data = pooled()
    assert len(data.plain["val"]) == round(0.2 * 33) and len({*data.pack.people.image}) < 33
    ids = [set(data.pack.people.image_ids[data.plain[split].rows]) for split in ("train", "val")]
    assert not ids[0] & ids[1]
    names = [set(data.pack.people.image[data.plain[split].rows]) for split in ("train", "val")]
    assert names[0] & names[1]


@pytest.mark.parametrize(
    ("settings", "train", "splits"),
    [
        ({"train_sets": ["one"]}, {"one"}, ["test", "test_one", "test_two"]),
        ({"train_sets": ["two", "one"]}, {"one", "two"}, ["test", "test_one", "test_two"]),
        ({"test_sets": ["two"]}, {"one", "two", "three"}, ["test"]),
        ({"train_sets": ["one"], "test_sets": ["one"]}, {"one"}, ["test"]),
        ({"train_sets": ["one", "gone"], "test_sets": ["gone", "two"]}, {"one"}, ["test"]),  # absent: does not count
        ({"test_sets": ["two", "three"]}, {"one", "two", "three"}, ["test"]),  # nobody of "three" tests
    ],
)
def test_sets_are_chosen_for_training_and_for_testing(
    pooled: Module, settings: dict[str, Any], train: set[str], splits: list[str]
) -> None:
    data, names = pooled(**settings), pooled().pack.people.set
    assert list(data.plain)[2:] == splits
    assert set(names[data.plain["train"].rows]) == train == set(names[data.augmented.rows])
    assert set(names[data.plain["val"].rows]) <= train
    tested = set(settings.get("test_sets", ["one", "two"])) & {"one", "two"}
    assert set(names[data.plain["test"].rows]) == tested == set(data.tested_sets)
    assert len(data.plain["test"]) == sum({"one": 5, "two": 3}[name] for name in tested)


def test_who_validates_in_one_choice_of_sets_never_trains_in_another(pooled: Module) -> None:
    everyone = rows_of(pooled())
    choices = [["one"], ["two"], ["one", "two"], ["three", "two"]]
    for rows in (rows_of(pooled(train_sets=choice, batch_size=2)) for choice in choices):
        assert rows["train"] <= everyone["train"] and rows["val"] <= everyone["val"]
        assert rows["train"] and rows["val"]


@pytest.mark.parametrize("setting", ["train_sets", "test_sets"])
def test_an_unknown_set_is_refused(pooled: Module, setting: str) -> None:
    with pytest.raises(UserError, match=rf"data\.{setting}: the pack has no set 'mpii'; it has one, two, three"):
        pooled(**{setting: ["one", "mpii"]})


@pytest.mark.parametrize(
    ("setting", "names"), [("train_sets", ["gone"]), ("test_sets", ["three"]), ("test_sets", ["gone", "three"])]
)
def test_sets_without_people_are_refused(pooled: Module, setting: str, names: list[str]) -> None:
    with pytest.raises(UserError, match=rf"data\.{setting}: the pack has no people of {names[0]}") as raised:
        pooled(**{setting: names})
    assert "\n" not in str(raised.value)


def test_people_are_those_of_the_tested_sets(pooled: Module) -> None:
    """Whoever was annotated for testing counts, whatever the reason that they are left out."""
    counts = pooled().count_people()
    assert counts.pop("train") + counts.pop("val") == 33
    left_out = {"test_annotated": 10, "test_missing_images": 1, "test_neighbours": 0}
    assert counts == {"test": 8, "test_one": 5, "test_two": 3, **left_out}
    one, two = ({**pooled(test_sets=[name]).count_people()} for name in ("one", "two"))
    assert (one["test"], one["test_annotated"], one["test_missing_images"]) == (5, 5, 0)
    assert (two["test"], two["test_annotated"], two["test_missing_images"]) == (3, 5, 1)


def test_a_subset_is_of_each_set_that_is_tested(pooled: Module) -> None:
    data = pooled(subset=4)
    assert [len(data.plain[split]) for split in ("train", "test_one", "test_two")] == [4, 4, 3]
    assert data.tested_sets == ["one", "two"]


@given(sets=st.lists(st.sampled_from("abc"), max_size=15), count=st.none() | st.integers(0, 20))
def test_some_of_each_set_are_its_first_in_turn(sets: list[str], count: int | None) -> None:
    rows = 7 * np.arange(len(sets)) + 3
    queues = [[int(row) for row, name in zip(rows, sets, strict=True) if name == one] for one in "abc"]
    taken: list[int] = []
    while any(queues):
        taken += sorted(queue.pop(0) for queue in queues if queue)  # one of each set, in order
    found = first_rows_of_each_set(rows, np.array(sets, dtype=str), count)
    assert found.tolist() == sorted(taken[:count])


def test_a_small_subset_trains_on_every_set(pooled: Module) -> None:
    data = pooled(subset=6, batch_size=2)
    names = data.pack.people.set
    for split, sets in (("train", ["one", "two", "three"]), ("test", ["one", "two"])):
        found = names[data.plain[split].rows].tolist()
        assert {name: found.count(name) for name in sets} == dict.fromkeys(sets, 6 // len(sets))
        assert (np.diff(data.plain[split].rows) > 0).all()


def shown(data: PoseDataModule, epoch: int) -> list[str]:
    """The set of every person of an epoch."""
    sampler = data.train_dataloader().sampler
    assert isinstance(sampler, EpochSampler)
    sampler.set_epoch(epoch)
    return [str(data.pack.people.set[data.augmented.rows[index]]) for _, index in sampler]


def test_a_balanced_epoch_shows_every_training_set_as_often(pooled: Module) -> None:
    plain, balanced = pooled(), pooled(balanced=True)
    np.testing.assert_array_equal(plain.augmented.rows, balanced.augmented.rows)
    length = len(plain.augmented)
    for epoch in range(3):
        shares = [shown(balanced, epoch).count(name) for name in ("one", "two", "three")]
        assert sum(shares) == length and max(shares) - min(shares) <= 1
        assert shown(plain, epoch).count("one") == (plain.pack.people.set[plain.augmented.rows] == "one").sum()
    assert shown(balanced, 0) == shown(pooled(balanced=True), 0) != shown(balanced, 1)
    pair = pooled(balanced=True, train_sets=["one", "three"])
    assert abs(shown(pair, 0).count("one") - shown(pair, 0).count("three")) <= 1 and "two" not in shown(pair, 0)
    assert len(list(balanced.train_dataloader())) == length // 4


# ---- scenes: pictures of one moment, and of one person ----


def scenes_pack(root: Path, skeleton: Skeleton, boxes: BoxRule, distance: int | None) -> str:
    """Sets "one" and "two" of 16 train images each: 4 moments in two pictures, 2 images of "ann", and 6 that are alone.

    Moments 0 and 1 are in both sets; "ann" of one set is not that of the other.
    """
    sets = []
    for name in ("one", "two"):
        shots = {f"{name}-{moment}{copy}.png": f"{moment if moment < 2 else (name, moment)}"
                 for moment in range(4) for copy in range(2)}  # fmt: skip
        ann = [f"{name}-ann{index}.png" for index in range(2)]
        single = [f"{name}-single{index}.png" for index in range(6)]
        tests = [person(f"{name}-test{index}.png", "test") for index in range(2)]
        write_flic(root / name, [person(image) for image in (*shots, *ann, *single)] + tests)
        for index, (image, shot) in enumerate(shots.items()):
            changed = picture(shot) * (0.8 + 0.1 * (index % 2)) + 5 * (name == "two")
            Image.fromarray(changed.astype(np.uint8)).save(root / name / "images" / image)
        source = FlicSource(str(root / name), skeleton)
        sets.append(DataSet(Watched(source, name=name, identities=dict.fromkeys(ann, "ann")), boxes))
    prepare(sets, skeleton, root / "pack", 32, 28, workers=1, near_duplicates=distance)
    return str(root / "pack")


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton, boxes: BoxRule) -> dict[int | None, str]:
    """The same pictures as two packs: near-duplicates looked for in 8 bits, and not at all."""
    return {distance: scenes_pack(tmp_path_factory.mktemp("moments"), skeleton, boxes, distance)
            for distance in (8, None)}  # fmt: skip


def crossing(data: PoseDataModule) -> set[str]:
    """What training and validation have in common."""
    people, found = data.pack.people, set()
    for a in data.plain["train"].rows:
        for b in data.plain["val"].rows:
            if (int(people.hash[a]) ^ int(people.hash[b])).bit_count() <= 8:
                found.add("moment")
            if people.identity[a] and people.identity[a] == people.identity[b]:
                found.add("person" if people.set[a] == people.set[b] else "person of that name in another set")
    return found


def test_validation_shares_no_scene_with_training(module: Module, moments: dict[int | None, str]) -> None:
    found = {distance: [crossing(module(pack=pack, split_seed=seed)) for seed in range(12)]
             for distance, pack in moments.items()}  # fmt: skip
    namesake = "person of that name in another set"
    assert set().union(*found[8]) == {namesake}  # who is someone else
    assert set().union(*found[None]) == {namesake, "moment"}  # without a distance nothing is known of moments


def test_scenes_stay_whole_and_fill_the_share(module: Module, moments: dict[int | None, str]) -> None:
    drawn = [module(pack=moments[8], split_seed=seed) for seed in range(12)]
    sizes, images = set(), drawn[0].pack.people.image
    for data in drawn:
        names = images[data.plain["val"].rows].tolist()
        assert len(names) == round(0.2 * 32)
        for moment in "0123":
            alike = [name for name in names if name[4:-5] == moment]
            sizes.add((moment < "2", len(alike)))
    assert sizes == {(True, 0), (True, 4), (False, 0), (False, 2), (False, 4)}  # 2 and 3 are two moments of two films


def test_validation_shares_no_shot_with_training(
    module: Module, tmp_path: Path, skeleton: Skeleton, boxes: BoxRule
) -> None:
    """Ten shots of four frames whose pictures are unlike: their names alone say that they are of one moment."""
    frames = [f"film-{1000 * shot + 10 * frame:08d}.png" for shot in range(10) for frame in range(4)]
    tests = [person(name, "test") for name in ("film-00000045.png", "film-00000999.png", "film-00099999.png")]
    write_flic(tmp_path / "flic", [*map(person, frames), *tests])
    pack = pack_of(tmp_path, skeleton, boxes, 32)
    for seed in range(6):
        data = module(pack=pack, split_seed=seed)
        shots = {name: set(data.pack.people.shot[one.rows]) for name, one in data.plain.items()}
        assert len(shots["val"]) == 2 and not shots["train"] & shots["val"], "a fifth, in whole shots"
        found = data.count_neighbours()
        assert not any(found["train_val"].values())
        # The first two test people are of the shots of frames 0 and 1000, which train or validate.
        assert found["train_test"]["shots"] + found["val_test"]["shots"] == 2
        assert (
            data.count_people()["test_neighbours"]
            == found["train_test"]["test_people"]
            == len(shots["train"] & shots["test"])
        )


# ---- are the labels where the picture shows the joints? ----

BIG = (200, 180)
RED, GREEN = 0, 1  # the dots on the person's left and right wrist


def dotted(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A black image with a soft red dot at `left` and a green one at `right` (0-based), and blue that grows with x."""
    x, y = np.meshgrid(np.arange(BIG[0]), np.arange(BIG[1]))
    image = np.zeros((BIG[1], BIG[0], 3), np.uint8)
    for channel, (cx, cy) in ((RED, left), (GREEN, right)):
        image[..., channel] = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18) * 255
    image[..., 2] = x
    return image


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton) -> str:
    """14 people, two of three train; every fourth faces backwards; boxes wider than high."""
    root, rng = tmp_path_factory.mktemp("dots"), np.random.default_rng(0)
    people = []
    for index in range(14):
        left, right = rng.uniform([90, 70], [130, 120]), rng.uniform([70, 70], [110, 120])
        while np.linalg.norm(left - right) < 20:
            right = rng.uniform([70, 70], [110, 120])
        turned = backwards() if index % 4 == 3 else coords()
        turned[:, [2, 5]] = np.stack([left, right], axis=1)  # slots 3 and 6: the wrists
        box = np.array([[20.0, 25, 180, 160]]) + rng.uniform(-8, 8, 4)
        people.append(person(f"{index}.png", "test" if index % 3 == 2 else "train", coords=turned, torsobox=box))
    write_flic(root / "flic", people)
    for record in people:
        left, right = record["coords"][:, 2] - 1, record["coords"][:, 5] - 1
        Image.fromarray(dotted(left, right)).save(root / "flic" / "images" / record["filepath"])
    return pack_of(root, skeleton, BoxRule("detection", "detection", (1.0, 0.0, 0.0), 0.1), 128, 112)


@pytest.fixture
def dots_module(dots: str, skeleton: Skeleton) -> Callable[[str], PoseDataModule]:
    augmentation = Augmentation([A.RandomCrop(112, 112)], 0.5, skeleton)
    return lambda sides: PoseDataModule(dots, skeleton, augmentation, 112, sides, True, 0.2, 0, None, 2, 0, 1)


def dot(image: Tensor, channel: int) -> np.ndarray:
    """Where the dot is: the centre of its weight."""
    weight = image[channel].double().numpy()
    y, x = np.mgrid[:112, :112]
    return np.array([(weight * axis).sum() / weight.sum() for axis in (x, y)])


def is_mirrored(image: Tensor) -> bool:
    return bool(image[2, :, 0].float().mean() > image[2, :, -1].float().mean())


def samples(data: PoseDataModule, epochs: int) -> Iterator[tuple[Sample, bool]]:
    """Samples, with whether the person faces backwards: of every split's test crops (epochs 0), or augmented."""
    datasets = [data.augmented] if epochs else list(data.plain.values())
    for dataset in datasets:
        for index, row in enumerate(dataset.rows):
            for epoch in range(max(epochs, 1)):
                yield dataset[epoch, index], bool(data.pack.people.faces_backwards[row])


@pytest.mark.parametrize("sides", ["image", "person"])
@pytest.mark.parametrize("epochs", [0, 25], ids=["plain", "augmented"])
def test_the_dot_is_at_its_label(dots_module: Callable[[str], PoseDataModule], sides: str, epochs: int) -> None:
    """Red is the person's left wrist. A mirror makes it the right one; so does facing backwards, under image sides."""
    seen = set()
    for sample, backward in samples(dots_module(sides), epochs):
        mirrored = is_mirrored(sample["image"])
        assert sample["mirrored"].item() is mirrored
        swapped = mirrored != (backward and sides == "image")
        joints = sample["joints_px"].numpy()
        order = [R_WRIST, L_WRIST] if swapped else [L_WRIST, R_WRIST]
        found = [dot(sample["image"], channel) for channel in (RED, GREEN)]
        inside = [all(8 < value < 103 for value in centre) for centre in joints[order]]
        assert any(inside)
        for centre, joint, whole in zip(found, order, inside, strict=True):
            if whole:  # a dot that is cut has its centre elsewhere
                np.testing.assert_allclose(centre, joints[joint], atol=0.5)
        seen.add((mirrored, backward))
    assert seen == {(mirror, back) for mirror in ([False, True] if epochs else [False]) for back in (False, True)}


def test_views_that_the_network_must_not_be_fed_are_refused_before_training(module: Module, skeleton: Skeleton) -> None:
    for transforms, words in (
        ([A.RandomCrop(28, 28), A.Normalize()], "float32"),
        ([A.RandomCrop(27, 27)], "27 x 27 px, but the network takes 28 x 28"),
    ):
        with pytest.raises(UserError, match=f"^augment: .*{words}"):
            module(augmentation=Augmentation(transforms, 0.5, skeleton))


class SignalMask(Dataset[bool]):
    """Whether SIGINT is blocked in the process that loads the sample."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> bool:
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_ctrl_c_does_not_reach_the_workers() -> None:
    """The process that trains ends them; a worker that still imports would print a traceback."""
    for workers, blocked in ((0, False), (1, True)):
        assert [bool(one) for one in DeferredLoader(SignalMask(), num_workers=workers)] == [blocked]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())

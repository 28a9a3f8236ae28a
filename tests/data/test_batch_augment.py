"""A whole batch of views is what the samples are, one by one: the same random numbers, pixels and labels."""

from __future__ import annotations

from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from hmlpe.data.augment import Augmentation
from hmlpe.data.batch_augment import Pcg64Streams, batch_augmentation_of
from hmlpe.data.dataset import PeopleDataset, Sample, collate
from hmlpe.data.pack import Labels
from hmlpe.skeleton import Skeleton

from .conftest import CONF

PEOPLE, SIDE = 40, 128
KEYS = [(epoch, person) for epoch in (0, 7) for person in range(PEOPLE)]
NAN = float("nan")
WORDS = st.integers(0, 2**32 - 1)


@given(words=st.lists(WORDS, min_size=1, max_size=4))
def test_the_streams_are_those_of_numpy(words: list[int]) -> None:
    theirs, ours = np.random.default_rng(words), Pcg64Streams([np.array([word]) for word in words])
    assert (ours.first_integers31()[0], ours.random()[0], ours.random()[0]) == (
        theirs.integers(2**31), theirs.random(), theirs.random(),
    )  # fmt: skip


def photos(count: int) -> np.ndarray:
    """Crops that are smooth, as photos are: noise that is blurred."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 12, 12)))
    fine = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0, 255)
    return fine.permute(0, 2, 3, 1).round().numpy().astype(np.uint8)


@pytest.fixture(scope="module")
def labels(skeleton: Skeleton) -> Labels:
    rng = np.random.default_rng(1)
    joints = rng.uniform(-10, SIDE + 10, (PEOPLE, len(skeleton.joints), 2))
    joints[3, 2] = NAN
    return Labels(
        joints_px=joints,
        occluded=rng.random((PEOPLE, len(skeleton.joints))) < 0.3,
        box_px=np.tile([0.0, 0.0, SIDE, SIDE], (PEOPLE, 1)),
        torso_px=rng.uniform(20, 40, PEOPLE),
        attributes=rng.random((PEOPLE, 2)),
    )


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return photos(PEOPLE)


def configured(name: str, skeleton: Skeleton, **changes: Any) -> Augmentation:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"augment={name}"])
    built: Augmentation = instantiate(config.augment)
    return Augmentation(changes.get("transforms", list(built.transform.transforms)), built.mirror, skeleton)


def both(augmentation: Augmentation, crops: np.ndarray, labels: Labels) -> tuple[Sample, Sample]:
    """The samples one by one, and as a batch; the latter as the loader gives it."""
    people = PeopleDataset(crops, labels, np.arange(PEOPLE), augmentation, seed=5, size_px=112)
    assert people.batch_augmentation is not None
    one_by_one = collate([people[key] for key in KEYS])
    (together,) = DataLoader(people, batch_size=len(KEYS), sampler=KEYS, collate_fn=collate)  # type: ignore[arg-type]
    return one_by_one, together


def check_labels(one_by_one: Sample, together: Sample) -> None:
    assert list(one_by_one) == list(together)
    for name, value in one_by_one.items():
        found = together[name]
        assert (found.dtype, found.shape) == (value.dtype, value.shape), name
        if name != "image":
            np.testing.assert_array_equal(found, value, name)
    assert 0.3 < together["mirrored"].float().mean() < 0.7


@pytest.mark.parametrize("name", ["paper", "companion"])
def test_a_batch_is_its_samples(name: str, skeleton: Skeleton, crops: np.ndarray, labels: Labels) -> None:
    one_by_one, together = both(configured(name, skeleton), crops, labels)
    check_labels(one_by_one, together)
    assert torch.equal(together["image"], one_by_one["image"])


def test_one_resampling_differs_by_rounding_alone(skeleton: Skeleton, crops: np.ndarray, labels: Labels) -> None:
    """The crop is part of the resampling, which rounds places to 1/32 of a pixel."""
    transforms = list(configured("strong", skeleton).transform.transforms)[:2]
    one_by_one, together = both(configured("strong", skeleton, transforms=transforms), crops, labels)
    check_labels(one_by_one, together)
    differs = (together["image"].int() - one_by_one["image"].int()).abs()
    assert differs.max() <= 2 and differs.float().mean() < 0.02


def test_strong_views_are_the_samples(skeleton: Skeleton, crops: np.ndarray, labels: Labels) -> None:
    """Blur, noise and colours as well: within 1 on average, and within 4 levels for 99 % of the values."""
    one_by_one, together = both(configured("strong", skeleton), crops, labels)
    check_labels(one_by_one, together)
    differs = (together["image"].int() - one_by_one["image"].int()).abs()
    assert differs.float().mean() < 0.05 and (differs > 4).float().mean() < 0.001


def test_without_augmentation_a_batch_is_its_samples(crops: np.ndarray, labels: Labels) -> None:
    people = PeopleDataset(crops, labels, np.arange(PEOPLE)[::-1])
    keys = list(range(5, 20))
    one_by_one, together = collate([people[key] for key in keys]), collate(people.__getitems__(keys))
    assert all(torch.equal(together[name].nan_to_num(), value.nan_to_num()) for name, value in one_by_one.items())


CROP = A.RandomCrop(112, 112)


@pytest.mark.parametrize("transforms", [
    [A.Affine(rotate=(-5, 5), border_mode=4, p=1), CROP],       # the joints would be reflected, too
    [A.Affine(rotate=(-5, 5), p=0.5), CROP],
    [A.Affine(rotate=(-5, 5), fit_output=True, p=1), CROP],
    [A.CenterCrop(112, 112)],
    [CROP, A.Perspective()],
    [CROP, A.OneOf([A.GaussianBlur(), A.Perspective()])],
    [CROP, A.SomeOf([A.GaussianBlur()], n=1)],
])  # fmt: skip
def test_what_is_not_known_to_be_the_same_goes_sample_by_sample(transforms: list[Any], skeleton: Skeleton) -> None:
    assert batch_augmentation_of(Augmentation(transforms, 0.5, skeleton)) is None


def test_sample_by_sample_is_a_batch_as_well(skeleton: Skeleton, crops: np.ndarray, labels: Labels) -> None:
    augmentation = Augmentation([A.CenterCrop(112, 112)], 0.5, skeleton)
    people = PeopleDataset(crops, labels, np.arange(PEOPLE), augmentation, seed=5, size_px=112)
    (found,) = DataLoader(people, batch_size=len(KEYS), sampler=KEYS, collate_fn=collate)  # type: ignore[arg-type]
    expected = collate([people[key] for key in KEYS])
    assert all(torch.equal(found[name].nan_to_num(), value.nan_to_num()) for name, value in expected.items())

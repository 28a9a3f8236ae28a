"""Augmentation: image and joints move together, left and right change places, nothing is random but the generator."""

from __future__ import annotations

from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hmlpe.data.augment import Augmentation, CropView, mirror_joints
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

from .conftest import CONF

SWAPPED = [0, 3, 2, 1, 5, 4, 7, 6]  # FACTS 2: head and neck stay, left and right change places
NAN = float("nan")
# A crop whose pixels are their own coordinates: red is x, green is y.
MAP = np.zeros((128, 128, 3), np.uint8)
MAP[..., 0], MAP[..., 1] = np.arange(128)[None], np.arange(128)[:, None]
JOINTS = np.array([[64, 20], [90.0, 40], [64, 41], [40, 42], [100, 64], [30, 63], [127, 127], [-30, 300]])


@pytest.fixture(scope="module")
def paper(skeleton: Skeleton) -> Augmentation:
    """The configured one."""
    config: dict[str, Any] = yaml.safe_load((CONF / "augment" / "paper.yaml").read_text(encoding="utf-8"))
    transforms = [
        {key: 112 if value == "${size_px}" else value for key, value in one.items()} for one in config["transforms"]
    ]
    built: Augmentation = instantiate({**config, "transforms": transforms, "skeleton": None}, skeleton=skeleton)
    return built


def view_of(augmentation: Augmentation, seed: int, joints: np.ndarray = JOINTS) -> CropView:
    return augmentation(MAP, joints, np.random.default_rng(seed))


def is_mirrored(image: np.ndarray) -> bool:
    return bool(image[0, 0, 0] > image[0, -1, 0])


@given(joints=arrays(float, (8, 2), elements=st.floats(-1e3, 1e3) | st.just(NAN)), width=st.integers(1, 300))
def test_flip_twice_is_the_identity(joints: np.ndarray, width: int) -> None:
    before = joints.copy()
    once = mirror_joints(joints, width, SWAPPED)
    np.testing.assert_allclose(mirror_joints(once, width, SWAPPED), joints, atol=1e-9)
    np.testing.assert_array_equal(once[:, 1], joints[SWAPPED, 1])
    np.testing.assert_allclose(once[:, 0] + joints[SWAPPED, 0], np.where(np.isnan(once[:, 0]), NAN, width - 1))
    np.testing.assert_array_equal(joints, before)


def test_flipping_the_view_twice_is_the_identity(skeleton: Skeleton) -> None:
    flip = Augmentation([A.RandomCrop(128, 128)], 1.0, skeleton)
    image, joints, flipped = flip(MAP, JOINTS, np.random.default_rng(0))
    assert is_mirrored(image) and flipped
    np.testing.assert_array_equal(joints[6], [127 + 30, 300])  # left wrist: the right one, mirrored
    image, joints, flipped = flip(image, joints, np.random.default_rng(1))
    assert flipped
    np.testing.assert_array_equal(image, MAP)
    np.testing.assert_allclose(joints, JOINTS, atol=1e-4)


@given(
    joints=arrays(float, (8, 2), elements=st.integers(-500, 900).map(float) | st.just(NAN)),
    seed=st.integers(0, 2**63),
)
def test_image_and_joints_move_together(paper: Augmentation, joints: np.ndarray, seed: int) -> None:
    """Joints outside the crop keep their true place; an unknown joint stays unknown, under its mirrored name."""
    image, moved, flipped = view_of(paper, seed, joints)
    assert image.shape == (112, 112, 3) and image.dtype == np.uint8
    assert flipped is is_mirrored(image)
    left, top = image[0, -1 if flipped else 0, :2].astype(int)
    rows, columns = slice(top, top + 112), slice(left, left + 112)
    np.testing.assert_array_equal(image, MAP[rows, columns][:, :: -1 if flipped else 1])
    expected = joints - [left, top]
    if flipped:
        expected = np.stack([111 - expected[SWAPPED, 0], expected[SWAPPED, 1]], axis=1)
    expected[np.isnan(expected).any(axis=1)] = NAN
    np.testing.assert_allclose(moved, expected, atol=1e-3)


def test_all_offsets_and_both_sides_are_drawn(paper: Augmentation) -> None:
    views = [view_of(paper, seed)[0] for seed in range(600)]
    flips = [is_mirrored(image) for image in views]
    assert 0.4 < np.mean(flips) < 0.6
    offsets = np.array([image[0, -1 if flip else 0, :2] for image, flip in zip(views, flips, strict=True)])
    for axis in offsets.T:
        assert set(axis.tolist()) == set(range(17))
    by_side = [offsets[np.array(flips) == side].mean() for side in (False, True)]
    assert by_side == pytest.approx([8, 8], abs=0.8)  # the draws are independent


@pytest.mark.parametrize(("probability", "flips"), [(0.0, {False}), (1.0, {True})])
def test_the_mirrors_probability(skeleton: Skeleton, probability: float, flips: set[bool]) -> None:
    augmentation = Augmentation([A.RandomCrop(112, 112)], probability, skeleton)
    assert {is_mirrored(view_of(augmentation, seed)[0]) for seed in range(30)} == flips


def test_a_view_is_a_function_of_the_generator_alone(paper: Augmentation, skeleton: Skeleton) -> None:
    first = [view_of(paper, seed) for seed in range(20)]
    np.random.seed(3)  # noqa: NPY002 - albumentations of old drew from here
    other = Augmentation([A.RandomCrop(112, 112)], 0.5, skeleton)
    again = [view_of(other, seed) for seed in reversed(range(20))][::-1]  # another object, another order
    for (image, joints, flipped), (image_again, joints_again, flipped_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(joints, joints_again)
        assert flipped == flipped_again
    assert len({view.image.tobytes() for view in first}) > 15


def test_one_generator_gives_one_view_after_another(paper: Augmentation) -> None:
    rng = np.random.default_rng(0)
    assert len({paper(MAP, JOINTS, rng)[0].tobytes() for _ in range(10)}) > 5


def test_random_transforms_of_albumentations_are_reseeded(skeleton: Skeleton) -> None:
    """Its own random state would repeat in every worker (DESIGN, traps)."""
    noisy = Augmentation([A.RandomCrop(112, 112), A.RandomBrightnessContrast(p=1), A.GaussNoise(p=1)], 0.5, skeleton)
    first, second, other = (view_of(noisy, seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_reflected_joints_are_refused(skeleton: Skeleton) -> None:
    """Albumentations reflects the joints too, and would return nine people."""
    reflecting = Augmentation([A.Affine(rotate=(10, 20), border_mode=cv2.BORDER_REFLECT_101, p=1)], 0.5, skeleton)
    with pytest.raises(UserError, match=r"72 joints out of 8.*border_mode"):
        view_of(reflecting, 0)


class _Drawing(A.NoOp):
    """Changes nothing, and notes the first number that each of its random states gives."""

    def __init__(self) -> None:
        super().__init__(p=1)
        self.drawn: list[tuple[float, float]] = []

    def get_params(self) -> dict[str, Any]:
        self.drawn.append((self.py_random.random(), float(self.random_generator.random())))
        return {}


def test_transforms_draw_independently(skeleton: Skeleton) -> None:
    """Albumentations gives all transforms of a composition one seed: the darkest view would always be the smallest."""
    drawing = [_Drawing(), _Drawing(), _Drawing(), _Drawing()]
    many = Augmentation([*drawing[:2], A.Sequential([drawing[2], A.OneOf([drawing[3]], p=1)], p=1)], 0.5, skeleton)
    for seed in range(300):
        view_of(many, seed)
    drawn = np.array([one.drawn for one in drawing]).reshape(4, 300, 2).transpose(0, 2, 1).reshape(8, 300)
    between = np.corrcoef(drawn)[~np.eye(8, dtype=bool)]
    assert np.abs(between).max() < 0.25
    assert (drawn > 0).all() and (drawn.mean(axis=1) > 0.4).all() and (drawn.mean(axis=1) < 0.6).all()


def test_joints_turn_with_the_image(skeleton: Skeleton) -> None:
    """Any geometric transform of albumentations moves the joints: a white dot is found at its joint."""
    turn = Augmentation([A.Affine(rotate=(-30, 30), scale=(0.8, 1.2), p=1), A.CenterCrop(112, 112)], 0.5, skeleton)
    joints = np.full((8, 2), NAN)
    joints[6] = [80.0, 50.0]
    y, x = np.mgrid[:128, :128]
    dot = np.exp(-((x - 80) ** 2 + (y - 50) ** 2) / 18) * 255
    crop = np.repeat(dot[..., None], 3, axis=2).astype(np.uint8)
    for seed in range(20):
        image, moved, _ = turn(crop, joints, np.random.default_rng(seed))
        (found,) = np.flatnonzero(np.isfinite(moved).all(axis=1))
        weight = image[..., 0].astype(float)
        y, x = np.mgrid[:112, :112]
        centre = [(weight * axis).sum() / weight.sum() for axis in (x, y)]
        np.testing.assert_allclose(moved[found], centre, atol=0.7)
        assert found in (6, 7)


def test_the_crop_and_its_joints_are_not_changed(paper: Augmentation) -> None:
    crop, joints = MAP.copy(), JOINTS.copy()
    for seed in range(5):
        paper(crop, joints, np.random.default_rng(seed))
    np.testing.assert_array_equal(crop, MAP)
    np.testing.assert_array_equal(joints, JOINTS)
    crop.setflags(write=False)  # a pack's crops are read-only
    paper(crop, joints, np.random.default_rng(0))


@pytest.mark.parametrize("hidden", [False, True])
def test_transforms_that_mirror_are_refused(skeleton: Skeleton, hidden: bool) -> None:
    for name in ("HorizontalFlip", "VerticalFlip", "Transpose"):
        one = getattr(A, name)(p=0.5)
        with pytest.raises(UserError, match=f"augment: {name} mirrors"):
            Augmentation([A.OneOf([one, A.NoOp()])] if hidden else [one], 0.5, skeleton)


@pytest.mark.parametrize("name", ["paper", "companion", "strong"])
def test_what_is_configured_passes_the_check(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"augment={name}"])
    instantiate(config.augment).check(112, 128)


CROP = A.RandomCrop(112, 112)
RARE = 0.001  # what happens so seldom is found all the same


class _Turning(A.DualTransform):
    """Mirrors, and no name or setting says so."""

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        return img[:, ::-1].copy()

    def apply_to_keypoints(self, keypoints: np.ndarray, **params: Any) -> np.ndarray:
        moved = keypoints.copy()
        moved[:, 0] = 111 - moved[:, 0]
        return moved


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ([CROP, A.Normalize()], r"float32 ndarray.*leave out Normalize"),
        ([CROP, A.ToFloat(max_value=255, p=RARE)], "float32 ndarray"),
        ([CROP, A.ToTensorV2()], "Tensor.*leave out"),
        ([CROP, A.ToGray(num_output_channels=1, p=RARE)], r"of shape \(112, 112"),
        ([A.RandomCrop(96, 96)], "views of 96 x 96 px, but the network takes 112 x 112"),
        ([A.NoOp()], "views of 128 x 128 px"),
        ([CROP, A.OneOf([A.Resize(112, 100, p=RARE), A.NoOp()], p=0.5)], "views of 100 x 112 px"),
        ([A.RandomCrop(200, 200)], r"fail on a crop of 128 px \(.*Crop"),
        ([CROP, A.OneOf([_Turning(p=RARE), A.NoOp()], p=RARE)], "a transform mirrors"),
    ],
)
def test_what_the_network_must_not_be_fed_is_refused_before_training(
    skeleton: Skeleton, transforms: list[Any], words: str
) -> None:
    augmentation = Augmentation(transforms, 0.5, skeleton)
    with pytest.raises(UserError, match=f"^augment: .*{words}"):
        augmentation.check(112, 128)


@pytest.mark.parametrize(
    "scale", [(-1.0, 1.0), {"x": (-1.0, -1.0), "y": (1.0, 1.0)}, {"x": (1.0, 1.0), "y": (-0.01, 1)}]
)
def test_an_affine_of_negative_scale_mirrors(skeleton: Skeleton, scale: Any) -> None:
    with pytest.raises(UserError, match="augment: Affine with a negative scale mirrors"):
        Augmentation([CROP, A.OneOf([A.Affine(scale=scale, p=RARE)])], 0.5, skeleton)


def test_half_a_turn_is_no_mirror(skeleton: Skeleton) -> None:
    Augmentation([CROP, A.Affine(scale=(-1.0, -1.0), keep_ratio=True), A.Affine(rotate=180)], 0.5, skeleton).check(
        112, 128
    )


def test_the_check_leaves_the_augmentation_as_it_was(paper: Augmentation) -> None:
    before = view_of(paper, 3)
    paper.check(112, 128)
    after = view_of(paper, 3)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])

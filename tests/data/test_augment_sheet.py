"""Every configured augmentation, by the eye of the machine: the label lies on the dot that was painted at the joint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from hmlpe.data.augment import Augmentation
from hmlpe.data.drawing import LabelledCrop
from hmlpe.data.sheet import draw_labelled_crops
from hmlpe.skeleton import Skeleton
from hmlpe.tasks import PartDetection
from hmlpe.windows import WindowGrid

from .conftest import CONF

CONFIGS = sorted(path.stem for path in (CONF / "augment").glob("*.yaml"))
SEEDS = range(48)
SIZE, RADIUS = 112, 3.5
SWAPPED = [0, 3, 2, 1, 5, 4, 7, 6]  # FACTS 2: head and neck stay, left and right change places
JOINTS = np.array([
    [63.0, 24.0], [84.3, 44.6], [63.4, 43.1], [42.2, 45.7], [97.5, 66.1], [30.8, 68.4], [84.9, 88.7], [47.0, 91.3],
])  # fmt: skip
GREY, LIGHT, DEEP = 110, 165, 35  # the ground; the strongest and the weakest channel of a dot
HUES = np.arange(8) * 2 * np.pi / 8  # a hue for each joint, far enough apart for the jitter of colours
TO_HUE = np.exp(2j * np.pi / 3 * np.arange(3))  # channels -> a complex number: length is chroma, angle is hue


def colour(hue: float) -> np.ndarray:
    """RGB of a full hue: each channel by its angle on the colour circle."""
    wheel = np.cos(hue - np.angle(TO_HUE))
    return DEEP + (LIGHT - DEEP) * (wheel - wheel.min()) / np.ptp(wheel)


def painted(joints: np.ndarray = JOINTS) -> np.ndarray:
    """A grey crop of 128 with a soft-edged disc of its own colour at each joint."""
    y, x = np.mgrid[:128, :128]
    crop = np.full((128, 128, 3), float(GREY))
    for hue, (cx, cy) in zip(HUES, joints, strict=True):
        cover = np.clip(RADIUS + 0.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
        crop = crop * (1 - cover) + colour(hue) * cover
    return np.rint(crop).astype(np.uint8)


def seen_dots(view: np.ndarray) -> np.ndarray:
    """(dot, 2) the centre of each painted colour in the view; NaN where it is not seen, or may be cut by the edge."""
    chroma = view.astype(float) @ TO_HUE
    nearest = np.round(np.angle(chroma) / HUES[1]).astype(int) % len(HUES)
    y, x = np.mgrid[:SIZE, :SIZE]
    centres = np.full((len(HUES), 2), np.nan)
    for dot in range(len(HUES)):
        there = cv2.boxFilter(np.where(nearest == dot, np.abs(chroma), 0), -1, (7, 7), borderType=cv2.BORDER_CONSTANT)
        peak_y, peak_x = np.unravel_index(int(there.argmax()), there.shape)
        if there.max() < 12 or not all(7 <= peak <= SIZE - 8 for peak in (peak_y, peak_x)):
            continue
        near = np.hypot(x - peak_x, y - peak_y) <= 6.5
        own = chroma[near].sum() / np.abs(chroma[near].sum())  # the hue as it has become
        weight = np.where(near, (chroma / own).real, 0)  # signed: what is only noise cancels
        centres[dot] = [(weight * axis).sum() / weight.sum() for axis in (x, y)]
    return centres


def is_mirrored(dots: np.ndarray) -> bool:
    """Whether the seen dots lie the other way round than they were painted; turning and scaling do not matter."""
    known = np.isfinite(dots).all(axis=1)
    assert known.sum() >= 5
    ground = np.column_stack([JOINTS, np.ones(len(JOINTS))])
    fit = np.linalg.lstsq(ground[known], dots[known], rcond=None)[0]
    return bool(np.linalg.det(fit[:2]) < 0)


@pytest.fixture(scope="module")
def configured() -> Callable[[str], Augmentation]:
    """Augmentations as the command line would build them."""
    built = {}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for name in CONFIGS:
            config = compose("train", overrides=[f"augment={name}"])
            assert config.size_px == SIZE
            built[name] = instantiate(config.augment)
    return built.__getitem__


Seen = tuple[np.ndarray, np.ndarray, np.ndarray, bool]


def views(augmentation: Augmentation) -> Iterator[Seen]:
    """View, labels, the dots in the order of the labels that should lie on them, and whether it is mirrored."""
    crop = painted()
    for seed in SEEDS:
        image, labels, mirrored = augmentation(crop, JOINTS, np.random.default_rng(seed))
        dots = seen_dots(image)
        assert is_mirrored(dots) == mirrored
        yield image, labels, dots[SWAPPED] if mirrored else dots, mirrored


def test_the_configurations_are_found() -> None:
    assert {"paper", "companion", "strong"} <= set(CONFIGS)


def test_the_eye_sees_what_was_painted(skeleton: Skeleton) -> None:
    """Else the other tests would prove nothing: it finds the dots, and sees that A.Resize is 1/16 px off."""
    np.testing.assert_allclose(seen_dots(painted(JOINTS + 0.4)[8:120, 8:120]), JOINTS + 0.4 - 8, atol=0.08)
    resize = Augmentation([A.Resize(SIZE, SIZE, interpolation=cv2.INTER_AREA)], 0.0, skeleton)
    image, labels, _ = resize(painted(), JOINTS, np.random.default_rng(0))
    np.testing.assert_allclose((labels - seen_dots(image)).mean(axis=0), 0.5 * (1 - SIZE / 128), atol=0.02)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_label_lies_on_the_dot_of_its_joint(configured: Callable[[str], Augmentation], name: str) -> None:
    """In a mirrored view the label "left wrist" lies on the dot that was painted at the right wrist."""
    errors: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for image, labels, dots, mirrored in views(configured(name)):
        assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
        whole = ((labels > 9) & (labels < SIZE - 10)).all(axis=1)
        assert np.isfinite(dots[whole]).all(), f"no dot where the label is: {labels[whole].round(1).tolist()}"
        errors[mirrored].append(labels[whole] - dots[whole])
    assert sum(len(found) for side in errors.values() for found in side) > 0.8 * len(SEEDS) * len(JOINTS)
    for side in errors.values():
        assert len(side) > len(SEEDS) / 4
        error = np.concatenate(side)
        assert np.linalg.norm(error, axis=1).max() < 0.5  # noise and blur move a dot's centre by up to 0.3
        np.testing.assert_allclose(error.mean(axis=0), 0, atol=0.03)  # but to no side


@pytest.mark.parametrize("name", CONFIGS)
def test_window_labels_are_those_of_the_dots(
    configured: Callable[[str], Augmentation], skeleton: Skeleton, name: str
) -> None:
    """What the detection task makes of the labels is what the picture shows, wherever it is not a matter of a pixel."""
    config = yaml.safe_load((CONF / "windows" / "paper.yaml").read_text(encoding="utf-8"))
    grid: WindowGrid = instantiate(config)
    task = PartDetection(skeleton, grid)
    contained = compared = 0
    for _, labels, dots, _ in views(configured(name)):
        target = task.target({"joints_px": torch.from_numpy(labels)[None]})
        assert target.known.all()
        share = grid.share_inside(torch.from_numpy(dots)[task.ends]).flatten()  # NaN where an end is not seen
        clear = (share - grid.beta).abs() > 0.06
        torch.testing.assert_close(target.values[0][clear], (share > grid.beta)[clear].float(), rtol=0, atol=0)
        contained, compared = contained + int((share > grid.beta)[clear].sum()), compared + int(clear.sum())
    assert compared > 0.7 * len(SEEDS) * len(task.ends) * len(grid) and contained > 0.05 * compared


def test_the_eye_of_the_reader(configured: Callable[[str], Augmentation], skeleton: Skeleton, tmp_path: Path) -> None:
    """A sheet with views of every configuration: the pose is drawn over the dots, so it must hide their middles."""
    drawn = [
        LabelledCrop(
            f"{name}, seed {seed}",
            *configured(name)(painted(), JOINTS, np.random.default_rng(seed))[:2],
            np.zeros(8, bool),
        )
        for name in CONFIGS
        for seed in range(4)
    ]
    draw_labelled_crops(drawn, skeleton, WindowGrid(), tmp_path / "sheet.png", "Augmented views of dots")
    with Image.open(tmp_path / "sheet.png") as sheet:
        page = np.asarray(sheet.convert("RGB"))
    assert page.shape[1] > 8 * 2 * SIZE and page.shape[0] > len(CONFIGS) * 2 * SIZE
    bands = page[: len(page) // len(CONFIGS) * len(CONFIGS)].reshape(len(CONFIGS), -1, 3)
    assert (bands.std(axis=1) > 20).all()  # nowhere blank

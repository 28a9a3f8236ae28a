"""PCA colour noise: one colour for all pixels, spread as the image's own colours are."""

from __future__ import annotations

import numpy as np

from hmlpe.data.colour import PcaColourNoise

RNG = np.random.default_rng(0)
# Colours around (120, 130, 110) that differ most along one slanted axis; far enough from 0 and 255.
SPREAD = np.array([[14.0, 0, 0], [11, 6, 0], [4, -3, 2]])
IMAGE = np.rint(np.array([120.0, 130, 110]) + RNG.standard_normal((64, 48, 3)).clip(-2.5, 2.5) @ SPREAD.T)
IMAGE = IMAGE.astype(np.uint8)


def shift(image: np.ndarray, seed: int, strength: float = 0.5) -> np.ndarray:
    """The colour that is added, which must be one for all pixels."""
    noise = PcaColourNoise(strength)
    noise.set_random_seed(seed)
    added = (noise(image=image)["image"].astype(int) - image).reshape(-1, 3)
    assert (added == added[0]).all()
    return added[0]


def test_the_colour_is_spread_as_the_images_colours() -> None:
    shifts = np.array([shift(IMAGE, seed) for seed in range(1500)])
    own = np.cov(IMAGE.reshape(-1, 3), rowvar=False)
    np.testing.assert_allclose(np.cov(shifts, rowvar=False), 0.25 * own, atol=0.25 * own.max() * 0.12)
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=0.7)
    assert own[0, 1] > 100  # channels go together, so the axes matter


def test_strength_scales_it() -> None:
    weak, strong = shift(IMAGE, 3, 0.5), shift(IMAGE, 3, 1.0)
    np.testing.assert_allclose(2 * weak, strong, atol=1.5)  # rounded to whole colours
    assert np.abs(strong).max() > 3
    assert not shift(IMAGE, 3, 0.0).any()


def test_an_image_of_one_colour_stays_and_a_grey_one_stays_grey() -> None:
    assert not shift(np.full((9, 7, 3), 80, np.uint8), 1).any()
    grey = np.repeat(RNG.integers(90, 160, (32, 32, 1), dtype=np.uint8), 3, axis=2)
    added = np.array([shift(grey, seed) for seed in range(20)])
    assert (added == added[:, :1]).all() and added.any()


def test_it_does_not_wrap_around() -> None:
    image = np.where(np.arange(256).reshape(16, 16, 1) % 2, 255, 0).repeat(3, axis=2).astype(np.uint8)
    for seed in range(20):
        noise = PcaColourNoise(1.0)
        noise.set_random_seed(seed)
        view = noise(image=image)["image"]
        assert view[image == 255].min() >= view[image == 0].max() or view.std() == 0

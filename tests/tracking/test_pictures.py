"""Pictures for W&B: what is drawn where."""

import numpy as np

from hmlpe import pictures
from hmlpe.palette import PART_COLOURS, hex_to_rgb
from hmlpe.skeleton import Skeleton

SKELETON = Skeleton(["head", "hand"], {"arm": ["head", "hand"]})
GREY = (0xB0, 0xB0, 0xB0)


def has(picture: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) < 12).all(-1)


def test_both_poses_of_each_person_are_drawn() -> None:
    """The true stick stands upright in the left picture, the predicted one lies in the right one; NaN is left out."""
    crops = np.zeros((2, 40, 40, 3), dtype=np.uint8)
    truth = np.array([[[20, 5], [20, 35]], [[np.nan, 5], [20, 35]]])
    predicted = np.array([[[5, 20], [35, 20]], [[5, 20], [35, 20]]], dtype=float)
    picture = pictures.draw_poses(crops, truth, predicted, SKELETON)
    left, right, unknown, last = np.array_split(picture[:-50], 4, axis=1)  # without the legend
    spans = []
    for part in (left, right, last):
        rows, columns = np.nonzero(has(part, hex_to_rgb(PART_COLOURS[0])))
        spans.append((np.ptp(rows), np.ptp(columns)))
    assert spans[0][0] > 60 > 20 > spans[0][1]
    assert all(across > 60 > 20 > down for down, across in spans[1:])
    assert not has(unknown, hex_to_rgb(PART_COLOURS[0])).any()


def test_maps_stand_above_the_truth_and_what_is_unknown_is_grey() -> None:
    crops = np.zeros((1, 40, 40, 3), dtype=np.uint8)
    predicted, truth = np.zeros((1, 2, 8, 8)), np.zeros((1, 2, 8, 8))
    predicted[0, 0, 0, 0] = truth[0, 0, 7, 7] = 1  # corners, upper left and lower right
    truth[0, 1] = np.nan
    picture = pictures.draw_part_maps(crops, predicted, truth, ["upper_arm", "head"])
    assert has(picture[:, -110:], (253, 231, 36)).any(), "with a scale beside it"
    picture = picture[:, :-110]
    rows, columns = np.nonzero(has(picture, (253, 231, 36)))  # viridis at 1
    corner = rows < rows.mean()
    tile = pictures.TILE / 8
    assert np.ptp(rows[corner]) < tile and np.ptp(rows[~corner]) < tile
    assert (
        rows[~corner].max() - rows[corner].min() > 2 * pictures.TILE - 5
    )  # from the upper's top to the lower's bottom
    assert abs(columns[~corner].min() - columns[corner].min() - 7 * tile) <= 1
    assert has(picture, GREY).sum() > pictures.TILE**2


def test_filters_are_stretched_each_by_itself() -> None:
    weights = np.zeros((10, 3, 9, 9), dtype=np.float32)
    weights[:5, 0, 0, 0] = [1, 10, 100, 0, -1]  # red at one pixel, however large; the fourth is constant
    picture = pictures.render_rgb(pictures.draw_filters(weights))[:, :-110]
    pixel = (pictures.TILE / 9) ** 2
    assert has(picture, (255, 128, 128)).sum() == 3 * pixel
    assert has(picture, (0, 128, 128)).sum() == pixel
    assert has(picture, (128, 128, 128)).sum() >= 10 * pictures.TILE**2 - 4 * pixel

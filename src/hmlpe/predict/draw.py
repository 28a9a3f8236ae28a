"""Draw poses over an image, with captions and a legend, and draw the maps of the part detectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from hmlpe.errors import UserError
from hmlpe.geometry import crop_resized, image_to_crop
from hmlpe.palette import JOINT_STYLES, hex_to_rgb, joint_style, part_colour
from hmlpe.predict.estimator import ModelCard
from hmlpe.predict.people import FoundPerson
from hmlpe.skeleton import Skeleton

INK, PAPER = 16, 245  # near black, near white

Image = UInt8[np.ndarray, "height width 3"]
UNSURE = 0.5  # a stick is dashed if one of its joints has a confidence below this
TILE, COLUMNS = 240, 4  # in the picture of the maps: the side of a tile in pixels, and the number of tiles in a row
Points = Float[np.ndarray, "point 2"]
_BITS = 4  # the fractional bits of coordinates for cv2, which are whole numbers of 1/16 pixel
_FAR = 2.0**20  # pixels: outside any photo, and in 1/16 pixel still an int32


@lru_cache(maxsize=256)
def text_image(text: str, font_px: int) -> Image:
    """Return an image of dark text on a light strip, in a font of this size in pixels.

    The array is cached: do not change it.
    """
    font = _font(font_px)
    left, _, right, _ = font.getbbox(text)
    pad = max(2, font_px // 4)
    strip = Pillow.new("RGB", (int(right - left) + 2 * pad, font_px + font_px // 3 + pad), (PAPER,) * 3)
    ImageDraw.Draw(strip).text((pad - left, pad // 2), text, fill=(INK,) * 3, font=font)
    return np.asarray(strip)


@lru_cache(maxsize=16)
def legend_image(skeleton: Skeleton, font_px: int, dashed_below: float | None) -> Image:
    """Return an image that explains the joints' colours and, unless `dashed_below` is None, the discs and dashes.

    The array is cached: do not change it.

    Args:
        skeleton: the skeleton whose joints are drawn.
        font_px: the font size in pixels.
        dashed_below: the confidence below which sticks are dashed; None: the network gives no confidence.
    """
    pieces = []
    sides = {joint_style(skeleton, joint) for joint in range(len(skeleton.joints))}
    for side in JOINT_STYLES:
        if side in sides:
            word = side.label.removesuffix(" joint")
            pieces += [_disc_image(side.colour, font_px), text_image(word, font_px)]
    if dashed_below is not None:
        pieces.append(text_image(f"fill: confidence, dashed: below {dashed_below:g}", font_px))
    height = max(len(piece) for piece in pieces)
    whole = [np.pad(piece, ((0, height - len(piece)), (0, 0), (0, 0)), constant_values=PAPER) for piece in pieces]
    return np.hstack(whole)


def paste(picture: Image, piece: UInt8[np.ndarray, "high wide 3"], left: int, top: int) -> None:
    """Copy a piece into the picture, in place, with its upper left corner at (left, top).

    The piece is moved so that as much of it as possible lies inside the picture.
    """
    height, width = (min(a, b) for a, b in zip(picture.shape[:2], piece.shape[:2], strict=True))
    x, y = max(0, min(left, picture.shape[1] - width)), max(0, min(top, picture.shape[0] - height))
    picture[y : y + height, x : x + width] = piece[:height, :width]


def _disc_image(colour: str, font_px: int) -> Image:
    """Return an image of a disc in this colour, as high as text of this font size."""
    pad = max(2, font_px // 4)
    zoom = 4  # drawn larger and then reduced, so that the disc's edge is smooth
    square = Pillow.new("RGB", (zoom * (font_px + pad), zoom * (font_px + font_px // 3 + pad)), (PAPER,) * 3)
    top, side = pad + font_px // 8, font_px - 2
    box = [zoom * pad, zoom * top, zoom * (pad + font_px - 2), zoom * (top + side)]
    ImageDraw.Draw(square).ellipse(box, fill=hex_to_rgb(colour), outline=(INK,) * 3, width=zoom)
    return np.asarray(square.reduce(zoom))


@lru_cache(maxsize=16)
def _font(font_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(font_px)


def draw_people(image: Image, people: Sequence[FoundPerson], skeleton: Skeleton, with_legend: bool = True) -> Image:
    """Return a copy of the image with the sticks and joints of all people, the person with the best score on top.

    Sticks have the colours of their parts, joints those of the person's left and right. The share of a joint's disc
    that is filled is its confidence, and a stick is dashed and thin if one of its joints is below `UNSURE`; if the
    network gives no confidence (NaN), discs are full and sticks solid. The thin box is the detected one; its caption is
    the person's number in `poses.json` and mean confidence. The width of lines grows with the person's size.

    Args:
        image: the image, in RGB.
        people: the people, the one with the best score first.
        skeleton: the skeleton of their joints.
        with_legend: whether to draw a legend into the lower left corner, if there are people and the image has room.
    """
    drawn = image.copy()
    for number, person in reversed([*enumerate(people, start=1)]):
        _draw_person(drawn, person, skeleton, number)
    if people and with_legend:
        known = any(np.isfinite(person.confidence).any() for person in people)
        strip = legend_image(skeleton, max(11, min(60, min(image.shape[:2]) // 32)), UNSURE if known else None)
        if strip.shape[1] <= image.shape[1] and 8 * strip.shape[0] <= image.shape[0]:
            paste(drawn, strip, 0, image.shape[0] - strip.shape[0])
    return drawn


def draw_maps(image: Image, person: FoundPerson, card: ModelCard) -> UInt8[np.ndarray, "high wide 3"]:
    """Return a picture with a tile for each part: the crop, overlaid with the part's probability in each window.

    A window is drawn as a square around its centre whose side is the grid's stride, so that squares do not overlap as
    the windows do. The line is the stick between the regressed joints. The last tile shows the whole pose in the crop.

    Raises:
        UserError: the network has no part detectors.
    """
    if person.part_maps is None:
        raise UserError(f"{card.name}: the network has no part detectors, so there are no maps")
    crop = crop_resized(image, person.box_px, TILE)
    joints = image_to_crop(person.joints_px, person.box_px, TILE)
    grey = np.repeat(crop.mean(axis=2, keepdims=True) * 0.55, 3, axis=2)
    tiles = []
    for part, (name, ends) in enumerate(zip(card.skeleton.parts, card.skeleton.part_ends, strict=True)):
        probabilities = person.part_maps[part]
        tile = _heat_overlay(grey, probabilities, card)
        _draw_stick(tile, joints[list(ends)], part_colour(part), width=2, dashed=False)
        tiles.append(_add_title(tile, f"{name.replace('_', ' ')}  max {probabilities.max():.2f}"))
    pose = crop.copy()
    _draw_pose(pose, joints, person.confidence, card.skeleton, unit=2.4)
    tiles.append(_add_title(pose, "pose"))
    across = min(COLUMNS, len(tiles))
    blank = np.full_like(tiles[0], PAPER)
    tiles += [blank] * (-len(tiles) % across)
    rows = [np.hstack(tiles[start : start + across]) for start in range(0, len(tiles), across)]
    return np.vstack([*rows, _colour_scale(across * TILE)])


def _draw_person(drawn: Image, person: FoundPerson, skeleton: Skeleton, number: int) -> None:
    """Draw the person's detected box, pose, number and mean confidence into the image."""
    unit = _line_width(person, drawn)
    x0, y0, x1, y1 = _drawable(person.window_px)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], dtype=np.float64)
    thin = max(1, round(unit / 3))
    if np.isfinite(corners).all():
        for width, colour in ((thin + 2, INK), (thin, PAPER)):
            cv2.polylines(drawn, [_fixed_point(corners)], False, (colour,) * 3, width, cv2.LINE_AA, _BITS)
    _draw_pose(drawn, person.joints_px, person.confidence, skeleton, unit)
    known = np.clip(person.confidence[~np.isnan(person.confidence)], 0, 1)
    text = f"{number}  {known.mean():.2f}" if len(known) else str(number)
    label = text_image(text, round(max(11, min(4 * unit, 64))))
    if np.isfinite(corners).all():
        left, top = corners[0].round().astype(int)
        paste(drawn, label, int(left), int(top) - label.shape[0])


def _draw_pose(
    drawn: Image,
    joints_px: Points,
    confidence: Float[np.ndarray, " point"],
    skeleton: Skeleton,
    unit: float,
) -> None:
    """Draw the sticks and joints of one person into the image; `unit` is the width of a stick in pixels."""
    joints_px, confidence = _drawable(joints_px), np.clip(confidence, 0, 1)
    for part, ends in enumerate(skeleton.part_ends):
        unsure = bool((confidence[list(ends)] < UNSURE).any())  # False for NaN
        width = max(1, round(unit * (0.6 if unsure else 1)))
        _draw_stick(drawn, joints_px[list(ends)], part_colour(part), width, dashed=unsure)
    for joint, point in enumerate(joints_px):
        _draw_disc(drawn, point, joint_style(skeleton, joint).colour, float(confidence[joint]), 1.6 * unit)


def _line_width(person: FoundPerson, image: Image) -> float:
    """Return the width of a stick in pixels, which grows with the person's box and is limited by the image's size."""
    box = _drawable(person.box_px)
    sides = box[2:] - box[:2]
    side = float(np.sqrt(np.abs(sides).prod()))
    return float(max(1.5, min(side / 100 if math.isfinite(side) else 1.5, min(image.shape[:2]) / 80)))


def _draw_stick(drawn: Image, ends_px: Points, colour: str, width: int, dashed: bool) -> None:
    """Draw a line with a dark border between two joints into the image; nothing if one is unknown (NaN)."""
    if not np.isfinite(ends_px).all():
        return
    pieces = _dashes(ends_px, 4.0 * width) if dashed else [ends_px]
    for wide, shade in ((width + max(2, round(width / 2)), (INK,) * 3), (width, hex_to_rgb(colour))):
        cv2.polylines(drawn, [_fixed_point(piece) for piece in pieces], False, shade, wide, cv2.LINE_AA, _BITS)


def _dashes(ends_px: Points, length: float) -> list[Points]:
    """Return the end points of a stick's dashes; dashes and gaps are about `length` long, each end has a dash."""
    distance = float(np.linalg.norm(ends_px[1] - ends_px[0]))
    count = 2 * min(200, max(1, int(distance / length / 2))) + 1
    points = ends_px[0] + np.linspace(0, 1, count + 1)[:, None] * (ends_px[1] - ends_px[0])
    return [points[start : start + 2] for start in range(0, count, 2)]


def _draw_disc(drawn: Image, centre_px: Float[np.ndarray, 2], colour: str, confidence: float, radius: float) -> None:
    """Draw a joint: a ring around a dark disc, of whose area the share `confidence` is filled with the colour."""
    if not np.isfinite(centre_px).all():
        return
    (centre,) = _fixed_point(centre_px[None]).tolist()
    inner = math.sqrt(confidence) if math.isfinite(confidence) else 1.0
    ring = max(1.0, radius / 4)
    for size, shade in (
        (radius + 2 * ring, (INK,) * 3),
        (radius + ring, hex_to_rgb(colour)),
        (radius, (INK,) * 3),
        (radius * inner, hex_to_rgb(colour)),
    ):
        cv2.circle(drawn, centre, round(size * 2**_BITS), shade, cv2.FILLED, cv2.LINE_AA, _BITS)


def _drawable(values: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return coordinates that cv2 can take: infinite ones become NaN, which are not drawn, large ones are clipped."""
    return np.clip(np.where(np.isinf(values), np.nan, values), -_FAR, _FAR)


def _fixed_point(points_px: Points) -> np.ndarray:
    """Return points as cv2 takes them: whole numbers of 1/16 pixel, with pixel centres at whole pixels."""
    return np.asarray((points_px * 2**_BITS).round().astype(np.int32))


def _heat_overlay(
    grey: Float[np.ndarray, "side side 3"], probabilities: Float[np.ndarray, " window"], card: ModelCard
) -> UInt8[np.ndarray, "side side 3"]:
    """Return the grey crop with a square over each window: transparent for the probability 0, bright for 1."""
    count = int(card.windows["count"])
    zoom = TILE / card.size_px
    stride, extent = card.windows["stride_px"] * zoom, card.windows["extent_px"] * zoom
    # each pixel belongs to the window with the nearest centre; 0.5 is the offset between pixel centres of crop and tile
    cell = (np.arange(TILE) - (extent + zoom) / 2 + 0.5) / stride + 0.5
    index, inside = np.clip(cell.astype(int), 0, count - 1), (cell >= 0) & (cell < count)
    heat = probabilities.reshape(count, count)[np.ix_(index, index)] * np.outer(inside, inside)
    colours = _heat_colours(heat)
    share = 0.8 * heat[..., None]
    return np.asarray((grey * (1 - share) + colours * share).round().astype(np.uint8))


def _heat_colours(heat: Float[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "rows columns 3"]:
    """Convert probabilities to RGB by the colour map "inferno"; NaN is drawn as 0."""
    levels = (np.clip(np.nan_to_num(heat), 0, 1) * 255).round().astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1])


def _add_title(tile: Image, text: str) -> UInt8[np.ndarray, "more width 3"]:
    """Return the tile with a line of text above it."""
    title = np.full((22, tile.shape[1], 3), PAPER, np.uint8)
    paste(title, text_image(text, 13), 0, 0)
    return np.vstack([title, tile])


def _colour_scale(width: int) -> Image:
    """Return a strip that explains the colours of the maps."""
    strip = np.full((26, width, 3), PAPER, np.uint8)
    label = text_image("probability that a window holds the part: 0", 13)
    paste(strip, label, 0, 3)
    bar = _heat_colours(np.repeat(np.linspace(0, 1, 120)[None], 14, axis=0))
    paste(strip, bar, label.shape[1], 6)
    paste(strip, text_image("1", 13), label.shape[1] + 120, 3)
    return strip

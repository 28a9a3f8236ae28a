"""The colours of joints and parts, the same in every picture."""

from __future__ import annotations

from typing import NamedTuple

from hmlpe.skeleton import Skeleton

# Okabe and Ito's colours, which colour-blind readers can tell apart; parts take them in the skeleton's order.
PART_COLOURS = ("#F0E442", "#56B4E9", "#CC79A7", "#E69F00", "#D55E00", "#009E73", "#0072B2")


class JointStyle(NamedTuple):
    """How the joints of one side of the person (left, right, middle) are drawn.

    Attributes:
        label: text in the legend.
        colour: #RRGGBB.
        marker: matplotlib marker.
    """

    label: str
    colour: str
    marker: str


JOINT_STYLES = (
    JointStyle("left joint", "#FF2020", "o"),
    JointStyle("right joint", "#2060FF", "s"),
    JointStyle("middle joint", "#FFFFFF", "D"),
)


def part_colour(part: int) -> str:
    """Return the colour (#RRGGBB) of the part with this index."""
    return PART_COLOURS[part % len(PART_COLOURS)]


def joint_style(skeleton: Skeleton, joint: int) -> JointStyle:
    """Return how the joint with this index is drawn, by its side of the person: left, right or middle.

    The first joint of a mirror pair is the left one.
    """
    name = skeleton.joints[joint]
    return JOINT_STYLES[next((pair.index(name) for pair in skeleton.mirror if name in pair), 2)]


def hex_to_rgb(colour: str) -> tuple[int, int, int]:
    """Convert #RRGGBB to red, green and blue from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

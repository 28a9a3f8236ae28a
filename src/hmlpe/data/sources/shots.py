"""Shots of films: frames that lie near together show one moment, and mostly the same people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GAP = 50  # frames, two seconds of film (U); frames of one shot 10 apart differ by up to 32 bits of their hashes


class Frame(NamedTuple):
    """A frame of a film, by its number."""

    film: str
    number: int


def shots_of(frames: Sequence[Frame | None]) -> list[str]:
    """The shot of every frame: a chain of frames of one film, each at most `GAP` after the one before it.

    A shot is named after its first frame; a cut inside the chain is not seen. None is of no shot: its name is empty.
    """
    named: dict[Frame, str] = {}
    before = first = Frame("", 0)
    for frame in sorted({frame for frame in frames if frame is not None}):
        if frame.film != before.film or frame.number - before.number > GAP:
            first = frame
        named[frame] = f"{first.film}/{first.number:08d}"
        before = frame
    return ["" if frame is None else named[frame] for frame in frames]

"""Small sets and ways to spoil them, for the tests of the readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from hmlpe.data.record import Person
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

T = TypeVar("T")
NAN = float("nan")
SHOULDERS = Skeleton(["head", "left_shoulder", "right_shoulder", "neck", "left_wrist"], {})
CLIMBING = [  # and other names that are none
    "../a.png",
    "deep/../../a.png",
    "/etc/hostname",
    "..",
    "a\\..\\b.png",
    "",
    " ",
    ".",
    "./",
    "a\n.png",
    "a\0.png",
]


def one_line(error: UserError) -> str:
    text = str(error)
    assert text.strip() and text.isprintable(), repr(text)
    return text


@contextmanager
def refused(*parts: str) -> Iterator[None]:
    """The block must be refused in one line that holds these parts."""
    with pytest.raises(UserError) as raised:
        yield
    text = one_line(raised.value)
    for part in parts:
        assert part in text, (part, text)


def outcome(read: Callable[[], T], *parts: str) -> T | None:
    """What is read; None if it is refused in one line that holds these parts."""
    try:
        return read()
    except UserError as error:
        text = one_line(error)
    assert all(part in text for part in parts), text
    return None


def write_images(folder: Path, *names: str, size: tuple[int, int] = (6, 4)) -> Path:
    """Write a plain image under each name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "teal").save(folder / name)
    return folder


def same_joints(person: Person, other: Person) -> bool:
    """Whether two people have the same joints in the same image, with the same marks."""
    return (
        (person.image, person.split, person.identity) == (other.image, other.split, other.identity)
        and np.array_equal(person.joints_px, other.joints_px, equal_nan=True)
        and np.array_equal(person.occluded, other.occluded)
    )


@st.composite
def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """The file with a few bytes changed, added, left out, or cut off."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        what: Any = draw(st.sampled_from(["put", "add", "drop", "cut"]))
        if what == "put" and data:
            data[place] = draw(st.integers(0, 255))
        elif what == "add":
            data[place:place] = draw(st.binary(min_size=1, max_size=3))
        elif what == "drop":
            del data[place : place + draw(st.integers(1, 9))]
        elif draw(st.booleans()):
            del data[place:]
    return bytes(data)

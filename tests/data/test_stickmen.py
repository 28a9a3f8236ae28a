"""The text of stickmen: what it says, and that anything else is refused by its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hmlpe.data.sources.folder import checked_image_name
from hmlpe.data.sources.stickmen import Stickman, read_stickmen
from hmlpe.errors import UserError

NAN = float("nan")
HIDDEN = (NAN,) * 4
SINGLE, COUNTED, EITHER = (0,), (2,), (0, 1, 2)

GOOD = ["1 2 3 4", "5 6 7 8", "-9.5 1e1 +.5 3.", "NaN nan NAN NaN", "  1\t2  3 4 ", "21 22 23 24"]


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def read(folder: Path, content: bytes, counts: Sequence[int] = EITHER) -> list[Stickman]:
    path = folder / "sticks.txt"
    path.write_bytes(content)
    return read_stickmen(path, counts, checked_image_name)


def refusal(folder: Path, content: bytes, counts: Sequence[int] = EITHER) -> str:
    with pytest.raises(UserError) as raised:
        read(folder, content, counts)
    message = str(raised.value)
    assert "\n" not in message and "\r" not in message and len(message) < 300 + len(str(folder))
    assert message.startswith(str(folder / "sticks.txt"))
    return message


def test_a_record_is_a_header_and_six_sticks(tmp_path: Path) -> None:
    one, two = read(tmp_path, text("a.jpg", *GOOD, "b.jpg", *GOOD[::-1]), SINGLE)
    expected = np.array([(0, 1, 2, 3), (4, 5, 6, 7), (-10.5, 9, -0.5, 2), HIDDEN, (0, 1, 2, 3), (20, 21, 22, 23)])
    np.testing.assert_array_equal(one.sticks_px, expected)  # counted from 0
    np.testing.assert_array_equal(two.sticks_px, expected[::-1])
    assert (one.image, two.image) == ("a.jpg", "b.jpg")
    assert [man.where.rsplit(", ")[-1] for man in (one, two)] == ["line 2", "line 9"]


@pytest.mark.parametrize(("header", "people"), [("x", 1), ("x 1", 1), ("x 2", 2), ("x 1 6", 1), ("x 03 6", 3)])
def test_the_header_says_how_many(tmp_path: Path, header: str, people: int) -> None:
    men = read(tmp_path, text(header, *GOOD * people, "y", *GOOD))
    assert [man.image for man in men] == ["x"] * people + ["y"]
    assert len({man.where for man in men}) == len(men)
    assert men[people - 1].where.endswith(f"line {2 + 6 * (people - 1)}")


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n \n\t\n", b"\r\n\r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"  \n"])
def test_line_ends_and_trailing_blanks_do_not_matter(tmp_path: Path, end: bytes, tail: bytes) -> None:
    (man,) = read(tmp_path, text("x", *GOOD).replace(b"\n", end) + tail)
    assert man.image == "x" and man.sticks_px[5].tolist() == [20, 21, 22, 23]


BAD_STICKS = [
    "", "x", "1", "1 2 3", "1 2 3 4 5", "1 2 3 x", "1 2 3 NaN", "NaN NaN NaN 4", "1 2 3 inf", "1 2 -Infinity 4",
    "1 2 3 1e5", "1 2 3 -100000", "1 2 3 1e999", "1 2 3 1_0", "1 2 3 0x1", "1 2 3 ٣", "1,2,3,4", "1 2 3 4,0",
    "1 2 3 --4", "1 2 3 .", "1 2 3 1e", "1 2 3 \x0b4", "1\x0c2 3 4", "1\u00a02 3 4", "1 2 3 4\x00", "1 2\r3 4",
    "1 2 3 " + "4" * 50_000, "1 2 3 " + "4" * 50_000 + "x", "x 1 6", "1 2 3 nan(1)", "1 2 3 \ufeff4",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_STICKS, ids=lambda line: ascii(line)[:20])
def test_a_bad_stick_is_refused_by_its_line(tmp_path: Path, bad: str) -> None:
    assert "line 11:" in refusal(tmp_path, text("x", *GOOD, "y", *GOOD[:2], bad, *GOOD[3:], "z", *GOOD))


BAD_HEADERS = [
    ("", SINGLE), ("y z", SINGLE), ("y 1", SINGLE), ("y 1 6", SINGLE), ("1 2 3 4", SINGLE), ("1.5", SINGLE),
    ("NaN", SINGLE), ("-1", SINGLE), ("y", COUNTED), ("y 1", COUNTED), ("y 1 6 x", COUNTED), ("1.5 1 6", COUNTED),
    ("y 1 5", COUNTED), ("y 1 7", COUNTED), ("y 0 6", COUNTED), ("y -1 6", COUNTED), ("y 1.0 6", COUNTED),
    ("y NaN 6", COUNTED), ("y 1 6.0", COUNTED), ("y one 6", COUNTED), ("y +1 6", COUNTED), ("y ١ 6", COUNTED),
    ("y 0", EITHER), ("y 1 0", EITHER), ("1 2 3 4", EITHER), ("y " + "9" * 5000, EITHER), ("y 1 " + "9" * 5000, EITHER),
    ("y" * 300, EITHER), ("é" * 200, EITHER), ("x", EITHER), ("x 1 6", EITHER), ("y 2", EITHER),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "counts"), BAD_HEADERS)
def test_a_bad_header_is_refused_by_its_line(tmp_path: Path, bad: str, counts: Sequence[int]) -> None:
    good = "x 1 6" if counts == COUNTED else "x"
    assert "line 8:" in refusal(tmp_path, text(good, *GOOD, bad, *GOOD), counts)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("number", ["4", "999999999"])
def test_more_people_than_lines_are_refused_before_they_are_made(tmp_path: Path, number: str) -> None:
    message = refusal(tmp_path, text(f"x {number} 6", *GOOD * 3))
    assert "line 1:" in message and f"expected {6 * int(number)} lines of sticks, but 18 follow" in message


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\t\n", b"\r\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "empty" in refusal(tmp_path, content)


def test_a_file_without_its_last_line_end_may_be_cut(tmp_path: Path) -> None:
    whole = text("x", *GOOD)
    assert "line 7: has no line break" in refusal(tmp_path, whole[:-1])  # 24 could have been 24.5
    assert "line 7: has no line break" in refusal(tmp_path, whole[:-2])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp500"])
def test_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    assert ", line " in refusal(tmp_path, text("7 1 6", *GOOD).decode().encode(encoding), COUNTED)


def test_broken_utf8_is_refused_by_its_line(tmp_path: Path) -> None:
    assert "line 8" in refusal(tmp_path, text("ä", *GOOD) + "ö\n".encode("latin-1"))
    assert read(tmp_path, text("ä", *GOOD))[0].image == "ä"


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for name in ("none.txt", "folder.txt"):
        with pytest.raises(UserError, match=name):
            read_stickmen(tmp_path / name, SINGLE, lambda word, where: word)

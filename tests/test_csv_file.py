"""Tables as people, pandas and spreadsheets write them mean the same, and what is not read is counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from hmlpe.csv_file import Table, read_table
from hmlpe.errors import UserError

Read = Callable[[str], Table]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The table of this text, with a column a, and perhaps b."""

    def read(text: str) -> Table:
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        return read_table(tmp_path / "t.csv", ["a"], ["b"])

    return read


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        ("a,b\n1,2\n3,4\n", {}),
        ("a,b\n\n1,2\n\n3,4\n\n", {}),  # such lines are no rows
        ("a,b\n1,2\n,\n3,4\n, ,,,\n", {"empty lines": 2}),
        ("a,,b,\n1,,2,\n3,,4,\n", {"empty columns": 2}),
        (",a,b\n0,1,2\n1,3,4\n", {"cells of the unknown column ''": 2}),  # pandas' index
        ("a,note,b\n1,x,2\n3,,4\n", {"cells of the unknown column 'note'": 1}),
        ("a,note,b\n1,x,2\n,y,\n3,,4\n", {"empty lines": 1, "cells of the unknown column 'note'": 2}),
        ("note,a,b,note\n1,1,2,1\n3,3,4,3\n", {"cells of the unknown column 'note'": 4}),
        ("\ufeffa,b\r\n1,2\r\n3,4\r\n", {}),
    ],
)
def test_the_same_table(read: Read, text: str, ignored: dict[str, int]) -> None:
    table = read(text)
    assert [dict(row.cells) for row in table.rows] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert table.ignored == ignored


def test_lines_keep_their_numbers(read: Read) -> None:
    assert [row.line for row in read("a\n,,\n1\n\n2\n").rows] == [3, 5]


@pytest.mark.parametrize("text", ["a,c\n1,2\n1,2,3\n", "a,a\n1,2\n", "c\n1\n", "a,b\n,\n", "a,b\n1\n"])
def test_what_is_odd_is_refused(read: Read, text: str) -> None:
    with pytest.raises(UserError, match=r"t\.csv"):
        read(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("1.0", 1), ("-2.5e1", -25), (" 7 ", 7), ("", math.nan), ("nan", math.nan), ("NaN", math.nan)],
)
def test_numbers(read: Read, text: str, number: float) -> None:
    found = read(f"a,b\nx,{text}\n").rows[0].parse_number("b")
    assert found == number or (math.isnan(found) and math.isnan(number))


@pytest.mark.parametrize("text", ["one", "inf", "1_0", '"1,5"', "1 0", "0x1", "NULL"])
def test_no_numbers(read: Read, text: str) -> None:
    with pytest.raises(UserError, match=r"t\.csv, line 2: column 'b' must be a number"):
        read(f"a,b\nx,{text}\n").rows[0].parse_number("b")


def test_flags_and_labels(read: Read) -> None:
    yes, no, silent = ("1", "1.0", "TRUE", "true", "True"), ("0", "0.0", "FALSE", "false"), ("", "nan", "NaN")
    for texts, flag in ((yes, True), (no, False), (silent, None)):
        assert {read(f"a,b\nx,{text}\n").rows[0].parse_bool("b") for text in texts} == {flag}
    for text, label in (("1", "1"), ("1.0", "1"), ("12.", "12"), ("1.5", "1.5"), ("nan", ""), ("Nan", "Nan")):
        assert read(f"a,b\nx,{text}\n").rows[0].parse_text("b") == label
    with pytest.raises(UserError, match="column 'b' must be 1, 0 or empty, got '2'"):
        read("a,b\nx,2\n").rows[0].parse_bool("b")

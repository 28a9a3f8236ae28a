"""Damaged text of the four sets of stickmen is refused in one line, or does not spread to other records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmlpe.data.record import Person
from hmlpe.data.sources.family import FamilySource
from hmlpe.data.sources.folder import FolderSource
from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

from .stick_files import KINDS, Kind, build, lines_of

FEW = settings(max_examples=20)  # of every set; reading takes milliseconds under the type checks


@dataclass
class Damaged:
    """A set whose annotation file is overwritten again and again."""

    kind: Kind
    source: Callable[[], FolderSource]
    path: Path
    lines: list[str]

    def read(self, content: bytes) -> Sequence[Person] | None:
        """The people, or None if the set is refused, in one line."""
        self.path.write_bytes(content)
        try:
            return self.source().people()
        except UserError as error:
            refused = str(error)
        assert refused.strip() and "\n" not in refused and "\r" not in refused
        return None

    def record_at(self, line: int) -> int:
        """Index of the record that holds the line."""
        ends = np.cumsum([len(record.lines) for record in self.kind.records])
        return int(np.searchsorted(ends, line, side="right"))

    def check(self, content: bytes, touched: set[int], prefix: bool = False) -> None:
        """Read; whoever is not of a touched record must be as before (of a prefix: as far as there is someone)."""
        people = self.read(content)
        if people is None:
            return
        others = [(r.image, man) for records in self.kind.others.values() for r in records for man in r.people]
        safe = [
            (record.image, man)
            for i, record in enumerate(self.kind.records)
            for man in record.people
            if i not in touched
        ]
        images = {image for image, _ in [*others, *safe]}
        found = [(p.image, p.sticks_px) for p in people if p.image in images or not touched]
        if prefix:
            safe = safe[: len(found) - len(others)]
        assert len(found) == len(others) + len(safe)
        order = {image: i for i, image in enumerate(dict.fromkeys(image for image, _ in [*others, *safe]))}
        found.sort(key=lambda item: order[item[0]])  # Python's sort keeps the order of an image's people
        for (image, sticks_px), (expected_image, expected) in zip(found, [*others, *safe], strict=True):
            assert image == expected_image
            np.testing.assert_array_equal(sticks_px, expected)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def damaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, skeleton: Skeleton) -> Damaged:
    kind, root = request.param, tmp_path_factory.mktemp("damaged")
    build(root, kind, skeleton)
    options = {**kind.options, **({"train_images": 1} if kind.make is FamilySource else {})}
    lines = lines_of(kind.records)
    return Damaged(kind, lambda: kind.make(str(root), skeleton, **options), root / kind.file, lines)


def joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_the_undamaged_set_is_read(damaged: Damaged) -> None:
    damaged.check(joined(damaged.lines), set())
    assert damaged.read(joined(damaged.lines)) is not None


@FEW
@given(share=st.floats(0, 1))
def test_cut_anywhere(damaged: Damaged, share: float) -> None:
    whole = joined(damaged.lines)
    damaged.check(whole[: int(share * len(whole))], set(), prefix=True)


def test_cut_within_the_last_records_is_always_refused(damaged: Damaged) -> None:
    whole, last = joined(damaged.lines), joined(damaged.kind.records[-1].lines)
    for kept in range(len(whole) - len(last) + 1, len(whole), 5):
        assert damaged.read(whole[:kept]) is None


@FEW
@given(data=st.data())
def test_two_lines_swapped(damaged: Damaged, data: st.DataObject) -> None:
    line = st.integers(0, len(damaged.lines) - 1)
    i, j = data.draw(line), data.draw(line)
    lines = damaged.lines.copy()
    lines[i], lines[j] = lines[j], lines[i]
    touched = {damaged.record_at(i), damaged.record_at(j)} if i != j else set()
    if (len(lines[i].split()) == 4) != (len(lines[j].split()) == 4):  # a stick and a header
        assert damaged.read(joined(lines)) is None
    damaged.check(joined(lines), touched)


@FEW
@given(data=st.data())
def test_a_line_lost_or_doubled(damaged: Damaged, data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(damaged.lines) - 1))
    assert damaged.read(joined(damaged.lines[:i] + damaged.lines[i + 1 :])) is None
    assert damaged.read(joined(damaged.lines[: i + 1] + damaged.lines[i:])) is None


@FEW
@given(data=st.data(), word=st.text(st.characters(codec="utf-8"), max_size=6))
def test_a_word_for_a_number(damaged: Damaged, data: st.DataObject, word: str) -> None:
    i = data.draw(st.integers(0, len(damaged.lines) - 1))
    words = damaged.lines[i].split()
    k = data.draw(st.integers(0, len(words) - 1))
    lines = [*damaged.lines[:i], " ".join([*words[:k], word, *words[k + 1 :]]), *damaged.lines[i + 1 :]]
    damaged.check(joined(lines), {damaged.record_at(i)})
    try:
        float(word)
    except ValueError:
        if len(words) == 4:
            assert damaged.read(joined(lines)) is None


@FEW
@given(data=st.data(), wrong=st.binary(min_size=1, max_size=3))
def test_other_bytes(damaged: Damaged, data: st.DataObject, wrong: bytes) -> None:
    whole = joined(damaged.lines)
    at = data.draw(st.integers(0, len(whole) - 1))
    end = min(at + data.draw(st.integers(0, 3)), len(whole))
    lines = {damaged.record_at(whole.count(b"\n", 0, byte)) for byte in range(at, end + 1) if byte < len(whole)}
    content = whole[:at] + wrong + whole[end:]
    damaged.check(content, lines)
    try:
        content.decode()
    except UnicodeDecodeError:
        assert damaged.read(content) is None


@FEW
@given(data=st.data(), climb=st.sampled_from(["../", "/", "a/../../", "..\\", "./../"]))
def test_names_that_climb_out(damaged: Damaged, data: st.DataObject, climb: str) -> None:
    i = data.draw(st.sampled_from([i for i, line in enumerate(damaged.lines) if len(line.split()) < 4]))
    lines = [*damaged.lines[:i], climb + damaged.lines[i], *damaged.lines[i + 1 :]]
    assert damaged.read(joined(lines)) is None


@FEW
@given(data=st.data())
def test_a_record_doubled_or_lost(damaged: Damaged, data: st.DataObject) -> None:
    records = damaged.kind.records
    index = st.integers(0, len(records) - 1)
    i, at = data.draw(index), data.draw(index)
    assert damaged.read(joined(lines_of([*records[:at], records[i], *records[at:]]))) is None
    damaged.check(joined(lines_of(records[:i] + records[i + 1 :])), {i})

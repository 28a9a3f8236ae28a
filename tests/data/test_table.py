"""The reader of plain tables: what each cell becomes, and that nothing spoiled becomes a label."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.record import Person, Source
from hmlpe.data.sources.own import split_by_name
from hmlpe.data.sources.table import TableSource
from hmlpe.skeleton import Skeleton

from .own_sets import CLIMBING, NAN, SHOULDERS, changed_bytes, outcome, refused, same_joints, write_images

HEADER = "image,person,joint,x,y,visible"
LINES = [
    "a.png,1,head,30,10.5,1", "a.png,1,left_shoulder,40,20,", "a.png,1,right_shoulder,20,22,0",
    "a.png,2,head,5,6,1", "deep/b.png,1,neck,-3.25,+7e1,1", "a.png,1,left_wrist,,,1", "deep/b.png,1,head,,,0",
]  # fmt: skip
JOINTS = {"head": [30, 10.5], "left_shoulder": [40, 20], "right_shoulder": [20, 22], "neck": [NAN] * 2}
NO_NUMBERS = ["nan", "NaN", "inf", "-inf", "1e999", "1e6", "1_0", "0x10", "a", "1 0", "--1", "1e", ".", "١", "9" * 5000]
Table = Callable[..., TableSource]


def text(*lines: str, header: str = HEADER, end: str = "\n") -> str:
    return end.join([header, *(lines or LINES), ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the images of LINES, and is where the tests write their tables."""
    folder = tmp_path_factory.mktemp("table")
    write_images(folder / "images", "a.png", "deep/b.png")
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    """Write the table, and give its reader."""

    def make(content: str | bytes | None = None, **options: Any) -> TableSource:
        content = text() if content is None else content
        (folder / "joints.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        settings: dict[str, Any] = {"skeleton": SHOULDERS, "images": str(folder / "images"), "test_fraction": 0.5}
        return TableSource("mine", **(settings | {"table": str(folder / "joints.csv")} | options))

    return make


def with_columns(*names: str) -> Callable[..., str]:
    """Gives a table of LINES' first with these columns too, whose cells are given line by line."""
    header = ",".join([HEADER, *names])
    return lambda *cells: text(*(f"{line},{cell}" for line, cell in zip(LINES, cells, strict=False)), header=header)


def test_lines_become_people(table: Table, folder: Path) -> None:
    source = table()
    assert isinstance(source, Source) and source.name == "mine"
    first, second, third = source.people()
    np.testing.assert_array_equal(first.joints_px, [*JOINTS.values(), [NAN] * 2])
    assert first.occluded.tolist() == [False, False, True, False, False]
    assert [p.image for p in source.people()] == ["a.png", "a.png", "deep/b.png"]
    assert [p.where for p in source.people()] == [f"{folder / 'joints.csv'}, line {line}" for line in (2, 5, 6)]
    np.testing.assert_array_equal(third.joints_px[3], [-3.25, 70])
    assert not third.occluded.any()  # what is unknown is not said to be hidden
    assert np.isnan([*second.detection_px, *second.window_px, second.torso_px]).all() and second.identity == ""
    assert first.sticks_px.shape == (0, 4) and source.missing_images() == [] and source.skipped() == {}
    assert not first.faces_backwards and source.image("a.png").shape == (4, 6, 3)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_other_spellings_of_the_same(table: Table, end: str, mark: bytes) -> None:
    def mixed(line: str) -> str:
        cells = [line.split(",")[place] for place in (3, 0, 5, 4, 2, 1)]
        return f'{cells[0]} , "{cells[1]}",{", ".join(cells[2:])}'

    lines = ["", *map(mixed, LINES), ""]
    people = table(mark + text(*lines, header=mixed(HEADER), end=end).encode()).people()
    assert all(same_joints(*pair) for pair in zip(table().people(), people, strict=True))


def test_torso_and_backwards(table: Table) -> None:
    skeleton = Skeleton(["left_shoulder", "right_shoulder", "left_hip", "right_hip"], {})
    lines = ["a,1,left_shoulder,10,0,", "a,1,right_shoulder,20,0,", "a,1,right_hip,10,9,", "a,1,left_hip,20,7,"]
    (person,) = table(text(*lines), skeleton=skeleton).people()
    behind = pytest.approx(np.hypot(10, 9))  # to the own right hip: hips do not change places
    assert (person.torso_px, person.torso_swapped_px, person.faces_backwards) == (9, behind, True)
    (person,) = table(text(*lines[1:]), skeleton=skeleton).people()
    assert np.isnan(person.torso_px) and person.torso_swapped_px == behind and not person.faces_backwards


def test_a_column_split(table: Table) -> None:
    make = with_columns("split")
    people = table(make("train", "train", "train", "train", "test"), test_fraction=None).people()
    assert [p.split for p in people] == ["train", "train", "test"]
    with refused("joints.csv, line 5", "'split'", "line 2"):
        table(make("train", "train", "train", "test"), test_fraction=None).people()
    for cell in ("", "val", "Train", "0"):
        with refused("joints.csv, line 2", "'split'", "train or test"):
            table(make(cell), test_fraction=None).people()
    with refused("data.source.test_fraction", "joints.csv"):
        table(make("train")).people()
    with refused("data.source.test_fraction", "joints.csv"):
        table(test_fraction=None).people()


@pytest.mark.parametrize("share", [0, 1, -1, NAN, True, "0.5"])
def test_a_share_for_testing_is_between_0_and_1(table: Table, share: object) -> None:
    with refused("data.source.test_fraction"):
        table(test_fraction=share)


def test_without_the_column_an_images_name_says_its_split(table: Table) -> None:
    lines = [f"{place % 40}.png,{place},head,1,2,1" for place in range(80)]
    people = table(text(*lines)).people()
    assert {p.split for p in people} == {"train", "test"}
    assert all(p.split == split_by_name(p.image, 0.5) for p in people)
    assert table(test_fraction=0.4).fingerprint() != table().fingerprint() != table(text(*lines)).fingerprint()


def test_identity(table: Table) -> None:
    make = with_columns("identity")
    assert [p.identity for p in table(make("Änne", "Änne", "Änne", "Bo", "")).people()] == ["Änne", "Bo", ""]
    with refused("joints.csv, line 4", "'identity'", "line 2", "person"):
        table(make("Änne", "Änne", "Bo")).people()
    both = with_columns("identity", "split")
    assert table(both("Bo,test"), test_fraction=None).people()[0].split == "test"


def test_shot(table: Table) -> None:
    make = with_columns("shot")
    assert [p.shot for p in table(make("dive 1", "dive 1", "dive 1", "dive 1", "")).people()] == [
        "dive 1",
        "dive 1",
        "",
    ]
    with refused("joints.csv, line 5", "'shot'", "line 2", "image"):
        table(make("dive 1", "dive 1", "dive 1", "dive 2")).people()
    lines = [f"{place}.png,1,head,1,2,1,{place % 12 or ''}" for place in range(80)]
    people = table(text(*lines, header=HEADER + ",shot")).people()
    for shot in {p.shot for p in people if p.shot}:  # a share for testing takes whole shots
        assert len({p.split for p in people if p.shot == shot}) == 1
    assert {p.split for p in people if p.shot} == {p.split for p in people if not p.shot} == {"train", "test"}
    assert all(p.split == split_by_name(p.image, 0.5) for p in people if not p.shot)


def test_people_without_a_joint_are_left_out_and_counted(table: Table) -> None:
    source = table(text("a.png,1,head,,,", "a.png,2,head,1,2,", "b.png,2,neck,,,0"))
    assert [p.where.rpartition(" ")[2] for p in source.people()] == ["3"]
    assert source.skipped() == {"no joint is known": 2}


def test_tables_of_pandas_and_spreadsheets(table: Table) -> None:
    """The same people, whatever became of whole numbers, flags and what is not known; and the rest is counted."""

    def pandas(line: str) -> str:
        image, person, joint, x, y, visible = line.split(",")
        seen = {"1": "TRUE", "0": "FALSE", "": "nan"}[visible]
        return f"7,{image},{person}.0,{joint},{x or 'nan'},{y or 'NaN'},{seen},,0.9"

    lines = [*map(pandas, LINES), ",,,,,,,,", "9,,,,,,,,"]
    source = table(text(*lines, header=f",{HEADER},,likelihood"))
    for person, same in zip(source.people(), table().people(), strict=True):
        assert same_joints(person, same)
    assert source.skipped() == {
        "empty lines": 2, "cells of the unknown column ''": 8, "empty columns": 1,
        "cells of the unknown column 'likelihood'": 7,
    }  # fmt: skip


def test_who_is_nan_is_nobody(table: Table) -> None:
    """Or all people without a name would be one, and in one split."""
    lines = [f"{place}.png,1,head,1,2,1,nan" for place in range(40)]
    people = table(text(*lines, header=f"{HEADER},identity")).people()
    assert {p.identity for p in people} == {""} and {p.split for p in people} == {"train", "test"}


@pytest.mark.parametrize("again", ["a.png,1,head,30,10.5,1", "a.png,1,head,,,", "./a.png,1,head,9,9,1"])
def test_a_joint_is_there_once(table: Table, again: str) -> None:
    with refused("joints.csv, line 9", "head", "line 2"):
        table(text(*LINES, again)).people()


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("a.png,9,tail,1,2,1", ["'tail'", "head, left_shoulder"]),
        ("a.png,9,,1,2,1", ["no joint"]),
        ("a.png,,head,1,2,1", ["'person'"]),
        ("a.png,9,head,1,2", ["5 cells", "6"]),
        ("a.png,9,head,1,2,1,", ["7 cells"]),
        ("a.png,9,head,1,5,2,1", ["7 cells"]),
        ("a.png;9;head;1;2;1", ["1 cells"]),
        ("a.png,9,head,1,,1", ["'y'"]),
        ("a.png,9,head,,1,1", ["'x'"]),
        *((f"a.png,9,head,{number},2,1", ["'x'", "a number"]) for number in NO_NUMBERS),
        *((f"a.png,9,head,1,2,{visible}", ["'visible'", "1, 0 or empty"]) for visible in ("2", "-1", "yes", "0.5")),
        *((f'"{name}",9,head,1,2,1', []) for name in CLIMBING),
        ("a.png,9,head,1,2,1\0", ["printable"]),
        ('"a.png,9,head,1,2,1', ["CSV"]),
        ('"a.png"x,9,head,1,2,1', ["CSV"]),
        ("x" * 200_000 + ",9,head,1,2,1", ["CSV"]),
        ('"a.png,9,head,1,2,1\na.png",9,neck,1,2,1', ["line break"]),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_spoiled_line_is_named(table: Table, line: str, parts: list[str]) -> None:
    with refused("joints.csv, line ", *parts):
        table(text(*LINES, line, "b.png,1,head,1,2,1")).people()


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (HEADER.replace(",", ";"), ["semicolons"]), (HEADER.replace(",", "\t"), ["tabs"]),
        (HEADER.replace("y", "score"), ["'y'", "'score'", "image, person, joint, x, y, visible"]),
        (HEADER.replace("y", "score"), ["split, identity, shot"]),
        (HEADER.removesuffix(",visible"), ["'visible'"]), (HEADER + ",x", ["'x'", "twice"]), ("", ["'image'"]),
        (LINES[0], ["'a.png'"]), (HEADER.upper(), ["'IMAGE'"]), (HEADER[1:] + ",", ["'image'"]), ("\0", ["unknown"]),
    ],
)  # fmt: skip
def test_a_spoiled_header_is_named(table: Table, header: str, parts: list[str]) -> None:
    separator = next((sign for sign in ";\t" if sign in header), ",")
    with refused("joints.csv, line 1", *parts):
        table(text(*(line.replace(",", separator) for line in LINES), header=header)).people()


@pytest.mark.parametrize("content", [b"", b"\n", HEADER.encode(), HEADER.encode() + b"\n", b"\xff\xfe", b"\x80\n"])
def test_what_is_no_such_table(table: Table, content: bytes) -> None:
    with refused("joints.csv"):
        table(content).people()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_refused(table: Table, encoding: str) -> None:
    with refused("joints.csv"):
        table(text(*LINES, "ä.png,1,head,1,2,1").encode(encoding)).people()


@pytest.mark.parametrize("value", [None, "", 5, "/no/such.csv", "/dev/null", "/", "a\0b", "x" * 9999])
@pytest.mark.parametrize("key", ["table", "images"])
def test_settings_of_no_use_are_named(table: Table, key: str, value: object) -> None:
    if (key, value) != ("images", "/"):
        with refused(f"data.source.{key}"):
            table(**{key: value})


def test_missing_images_are_named_even_if_their_names_cannot_be(table: Table) -> None:
    names = ["gone.png", "x" * 300 + ".png", "a.png/b.png", "y/" * 3000 + "z.png"]
    source = table(text(*(f"{name},1,head,1,2,1" for name in ["a.png", *names])))
    assert source.missing_images() == sorted(names)
    for name in names:
        with refused():
            source.image(name)


# Properties


def known(person: Person) -> dict[int, list[float]]:
    return {place: point.tolist() for place, point in enumerate(person.joints_px) if np.isfinite(point).all()}


@given(data=st.data(), end=st.sampled_from(["\n", "\r\n"]))
def test_a_cut_table_is_refused_or_holds_nothing_new(table: Table, data: st.DataObject, end: str) -> None:
    whole = text(end=end).encode()
    before = {p.where: p for p in table(whole).people()}
    cut = data.draw(st.integers(0, len(whole) - 1))
    people = outcome(lambda: table(whole[:cut]).people(), "joints.csv")
    if people is not None:
        assert whole[:cut].endswith((b"\n", b"\r"))
        for person in people:
            assert known(person).items() <= known(before[person.where]).items()


@given(data=st.data(), encoding=st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_a_damaged_table_is_read_or_refused(table: Table, data: st.DataObject, encoding: str) -> None:
    spoiled = data.draw(changed_bytes(text(*LINES, "ä.png,1,head,1,2,1").encode(encoding)))
    outcome(lambda: table(spoiled).people(), "joints.csv")


@given(seed=st.integers(0, 10_000))
def test_swapped_lines_are_the_same_people(table: Table, seed: int) -> None:
    before = {p.joints_px.tobytes(): p for p in table().people()}
    lines = random.Random(seed).sample(LINES, len(LINES))
    after = table(text(*lines)).people()
    assert all(same_joints(person, before.pop(person.joints_px.tobytes())) for person in after) and not before
    firsts = list(dict.fromkeys(tuple(line.split(",")[:2]) for line in lines))
    assert [p.image for p in after] == [image for image, _ in firsts]


JUNK = st.one_of(
    st.sampled_from(["", "nan", "NaN", "inf", "1e999", "2e5", "0", "1", "2", "head", "neck", "a.png", "../a.png"]),
    st.integers(-99, 99).map(str), st.text(max_size=5), st.floats(width=16).map(str),
)  # fmt: skip


@given(data=st.data())
def test_only_what_is_spoiled_can_change(table: Table, data: st.DataObject) -> None:
    """A cell is replaced: the table is refused, or its line is read as it says, and all other lines as before."""
    cells = [line.split(",") for line in LINES]
    place, column = data.draw(st.integers(0, len(cells) - 1)), data.draw(st.integers(0, 5))
    cells[place][column] = data.draw(JUNK)
    people = outcome(lambda: table(text(*map(",".join, cells))).people(), "joints.csv")
    if people is None:
        return
    found = {(p.image, joint): known(p) for p in people for joint in known(p)}
    said = [line for line in cells if len(line) == 6 and line[3].strip() and line[4].strip()]
    assert sum(len(known(p)) for p in people) == len(said) and found
    points = sorted(point for p in people for point in known(p).values())
    assert points == sorted([float(line[3]), float(line[4])] for line in said)

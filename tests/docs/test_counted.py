"""docs/extending.md counts the files that a task, a balance and others touch: what src/ and conf/ say of it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "facing"
DOC = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
ROWS = {
    what: (int(count), read)
    for what, count, read in re.findall(r"^\| (\w.*?) \| (\d)(?: .*?|:.*?)? \| (.*) \|$", DOC, re.M)
}
KNOWN_BY = {
    "a task": r"joint_points|JointPoints|PointAP|tasks\.points",
    "a balance": r"pcgrad|PCGrad",
    "a protocol of `hmlpe-evaluate`": r"pck_extent|PckExtent",
    "one that `data=all` reads as well": r"FlicSource|sources\.flic|/set\S*: flic",
}


@cache
def sources() -> dict[Path, str]:
    """All modules and configs, the example's too, without comments; a package's list of names is none."""
    folders = (EXAMPLE / "facing", EXAMPLE / "conf", ROOT / "src", ROOT / "conf")
    paths = [path for folder in folders for path in folder.rglob("*.*") if path.suffix in (".py", ".yaml")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    return {path: re.sub(r"#.*", "", text) for path, text in texts.items() if not exports_alone(path, text)}


def exports_alone(path: Path, text: str) -> bool:
    body = ast.parse(text).body[1:] if path.name == "__init__.py" else []
    return bool(body) and all(isinstance(node, ast.ImportFrom | ast.Assign) for node in body)


@pytest.mark.parametrize("what", KNOWN_BY)
def test_it_takes_the_files_that_the_table_names_and_no_other(what: str) -> None:
    count, read = ROWS[what]
    listed = set(re.findall(r"`([\w/]+\.\w+)`", read))
    top = EXAMPLE if "of the example" in read else ROOT
    naming = {path for path, text in sources().items() if re.search(KNOWN_BY[what], f"{text}\n{path.stem}")}
    assert naming == {top / name for name in listed}
    assert len(listed) == count


def test_a_weights_way_and_what_lies_beside_it_are_all_that_reads_weights() -> None:
    (way,) = re.findall(r"^A weight's way (?:.+\n)+", DOC, re.M)
    (beside,) = re.findall(r"^Beside the way(?:.+\n?)+", DOC, re.M)
    on, off = (re.findall(r"`([\w/]+\.py)`", text) for text in (way, beside))
    assert len([*on, *off]) == len({*on, *off})
    assert len(on) == 6 and "passes six files" in way
    reads = r"\b(row|balance|run|line|self|settings)\.weights\b|\brow_weights\(|\[\"weights\"\]"
    package = ROOT / "src" / "hmlpe"
    reading = {path for path, text in sources().items() if package in path.parents and re.search(reads, text)}
    assert {path.relative_to(package).as_posix() for path in reading} == {*on, *off}

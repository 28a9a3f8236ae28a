"""Files that are whole or absent, and digests."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmlpe import files
from hmlpe.errors import UserError


def test_write_makes_folders_and_leaves_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "result.json"
    files.write_text_atomic(path, "λ\n")
    assert path.read_bytes() == "λ\n".encode()
    files.write_bytes_atomic(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_others_write_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """Its temporary name has the suffix that a video's writer goes by."""
    path = tmp_path / "new" / "a.mp4"
    with files.atomic_file(path, ".mp4") as temporary:
        temporary.write_text("first")
        assert temporary.suffix == ".mp4" and temporary.parent == path.parent and not path.exists()

    def fail() -> None:
        with files.atomic_file(path) as temporary:
            temporary.write_text("second")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "first" and list(path.parent.iterdir()) == [path]


def test_an_error_of_the_disk_says_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*file'") as raised:
        files.write_text_atomic(tmp_path / "file", "new")
    assert raised.value.filename == str(tmp_path / "file")


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    names = (".a.json.17.tmp", ".a.mp4.17.tmp.mp4", ".b.json.17.tmp", "a.json", ".lock", "x.tmp")
    for name in names:
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path, "b.json")
    assert not (tmp_path / ".b.json.17.tmp").exists() and (tmp_path / ".a.json.17.tmp").exists()
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", ".lock", "x.tmp"}
    files.remove_leftovers(tmp_path / "nowhere")


def test_old_content_stays_until_the_new_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file", []
    files.write_text_atomic(path, "old")
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(path.read_text()), sync(handle)))
    files.write_text_atomic(path, "new")
    assert seen == ["old"]  # when all the new bytes are written, but not before they are on the disk
    assert path.read_text() == "new"


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("old", ["old", None])
def test_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, old: str | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_text(old)

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(OSError, match="no space left"):
        files.write_text_atomic(path, "new")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["file"] if old is not None else [])
    assert old is None or path.read_text() == old


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_json_has_not(tmp_path: Path, value: float) -> None:
    path = tmp_path / "result.json"
    files.write_json_atomic(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json_atomic(path, {"metrics": [1.0, {"deep": value}]})
    assert files.read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"ä": [1, 2.5, None, True], "b": {"c": "text"}}
    files.write_json_atomic(tmp_path / "file.json", value)
    assert files.read_json(tmp_path / "file.json") == value


@pytest.mark.parametrize("content", [None, b"", b'{"cut": [1, 2', b"\xff\xfe"])
def test_unreadable_json_is_one_line_with_the_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.json") as caught:
        files.read_json(path)
    assert "\n" not in str(caught.value)


KEY = st.text(max_size=3)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=10,
)


def backwards(value: Any) -> Any:
    """The same value with every mapping's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@given(value=VALUE)
def test_digest_does_not_depend_on_key_order(value: Any) -> None:
    assert files.digest_of(value) == files.digest_of(backwards(value))
    assert len(files.digest_of(value)) == 16


def test_digest_tells_values_apart() -> None:
    values = [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1}, [1, 2], [2, 1], "1", 1, 1.5, None, True, {"a": {"b": 2}}]
    assert len({files.digest_of(value) for value in values}) == len(values)


def test_digest_of_a_value_is_stable() -> None:
    """What a finished run is recognised by must not change from day to day."""
    assert (
        files.digest_of({"b": [1, 2.5, None], "a": "x"})
        == (hashlib.sha256(b'{"a": "x", "b": [1, 2.5, null]}').hexdigest()[:16])
    )


def test_digest_of_a_file_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.digest_of_file(tmp_path / "file") == expected


def test_digest_of_files_sees_names_and_contents_not_order_nor_place(tmp_path: Path) -> None:
    def folder(name: str, contents: dict[str, str]) -> list[Path]:
        for file, text in contents.items():
            files.write_text_atomic(tmp_path / name / file, text)
        return [tmp_path / name / file for file in contents]

    def digest(name: str, contents: dict[str, str]) -> str:
        return files.digest_of_files(folder(name, contents), tmp_path / name)

    first = digest("one", {"x.py": "1", "sub/y.py": "2"})
    assert digest("two", {"sub/y.py": "2", "x.py": "1"}) == first
    assert digest("three", {"x.py": "1", "sub/z.py": "2"}) != first
    assert digest("four", {"x.py": "1", "sub/y.py": "3"}) != first
    assert digest("five", {"x.py": "2", "sub/y.py": "1"}) != first

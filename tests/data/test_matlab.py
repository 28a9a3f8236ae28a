"""Sound MATLAB files pass; what crashes scipy's reader, and with it the process, is refused before."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from hmlpe.data.sources import matlab
from hmlpe.data.sources.matlab import check_mat5, read_struct_array

from .own_sets import changed_bytes, outcome, refused

RECORDS = np.array([(np.arange(6.0), "a.png"), (np.zeros((0, 0)), "")], dtype=[("coords", object), ("name", object)])
CONTENT = {
    "doubles": np.arange(6.0).reshape(2, 3), "bytes": np.arange(5, dtype=np.uint8), "complex": np.array([1 + 2j]),
    "text": "naïve", "records": RECORDS, "cell": np.array([[1, "x", RECORDS]], object), "empty": np.zeros((0, 3)),
    "flag": True, "sparse": scipy.sparse.csc_array(np.eye(3)), "none": {},
}  # fmt: skip
MATRIX = struct.pack("<II", 14, 0)  # []


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(flags: int, *parts: bytes, dimensions: tuple[int, ...] = (1, 1)) -> bytes:
    head = element(6, struct.pack("<II", flags, 0)) + element(5, struct.pack(f"<{len(dimensions)}i", *dimensions))
    return element(14, head + element(1, b"x") + b"".join(parts))


def write(path: Path, *elements: bytes) -> Path:
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + b"".join(elements))
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", CONTENT)
def test_sound_files_pass(tmp_path: Path, name: str, compressed: bool) -> None:
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {name: CONTENT[name], "y": 1.0}, do_compression=compressed)
    check_mat5(path)
    check_mat5(tmp_path / "gone.mat")  # of which the reader says that it is missing


DOUBLE = element(9, struct.pack("<d", 5))
SMALL = struct.pack("<HHi", 5, 4, 7)  # size and type in four bytes
LONG_SMALL = struct.pack("<HHi", 5, 5, 7)
BARE = element(14, element(6, bytes(4)) + element(5, bytes(8)) + element(1, b"x"))


@pytest.mark.parametrize(
    "elements",
    [
        [matrix(6, DOUBLE)], [matrix(6 | 1 << 11, DOUBLE, DOUBLE)], [matrix(1, MATRIX)], [matrix(6, SMALL)],
        [matrix(2, element(5, struct.pack("<i", 2)), element(1, b"a\0b\0"), MATRIX, MATRIX)],
    ],
)  # fmt: skip
def test_the_hand_made_are_sound(tmp_path: Path, elements: list[bytes]) -> None:
    path = write(tmp_path / "x.mat", *elements)
    check_mat5(path)
    scipy.io.loadmat(path)


@pytest.mark.parametrize(
    "elements",
    [
        [matrix(6, element(0, bytes(8)))], [matrix(6, element(8, bytes(8)))], [matrix(6, MATRIX)], [matrix(6)],
        [matrix(6 | 1 << 11, DOUBLE), MATRIX], [matrix(6, DOUBLE, DOUBLE)], [matrix(4, MATRIX)], [DOUBLE],
        [matrix(1, dimensions=(1 << 20, 1 << 20))], [matrix(1, DOUBLE)], [matrix(1, MATRIX, dimensions=(-1, -1))],
        [matrix(2, element(5, struct.pack("<i", 0)), element(1, b"ab"), MATRIX)], [matrix(2)], [matrix(3, MATRIX)],
        [matrix(2, element(5, struct.pack("<i", 1)), element(1, b"ab"), MATRIX)], [matrix(17, MATRIX)],
        [matrix(6, struct.pack("<II", 9, 1 << 31))], [matrix(6, DOUBLE)[:-8]], [matrix(6, DOUBLE), b"\0\0\0"],
        [element(15, b"no deflate")], [matrix(6, LONG_SMALL)], [BARE],
    ],
    ids=range(22),
)  # fmt: skip
def test_the_unsound_are_refused(tmp_path: Path, elements: list[bytes]) -> None:
    path = write(tmp_path / "x.mat", *elements)
    with refused(str(path)):
        check_mat5(path)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    for data in (b"", b"x" * 500, bytes(124) + b"\x00\x01IM"):
        path.write_bytes(data)
        with refused(str(path), "not of MATLAB's versions"):
            check_mat5(path)


def test_what_nests_too_deeply_or_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = MATRIX
    for _ in range(2000):
        nested = matrix(1, nested)
    with refused("x.mat"):
        check_mat5(write(tmp_path / "x.mat", nested))
    scipy.io.savemat(tmp_path / "y.mat", {"zeros": np.zeros(10_000)}, do_compression=True)
    check_mat5(tmp_path / "y.mat")
    monkeypatch.setattr(matlab, "MAX_BYTES", 70_000)
    with refused("y.mat"):
        check_mat5(tmp_path / "y.mat")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("mat") / "x.mat"
    scipy.io.savemat(path, {"records": RECORDS, "cell": CONTENT["cell"]})
    return path, path.read_bytes()


@given(data=st.data())
def test_the_damaged_are_refused_or_read_without_a_crash(sound: tuple[Path, bytes], data: st.DataObject) -> None:
    path, whole = sound
    path.write_bytes(data.draw(changed_bytes(whole)))

    outcome(lambda: read_struct_array(path, "records"), str(path))

"""Read struct arrays and matrices from MATLAB files, with errors that name file, record and field.

A file is checked before scipy reads it, as a damaged one can crash scipy's compiled reader. The format is MathWorks'
MAT-File Format, level 5 (written by MATLAB's save, except with -v7.3). A file is a sequence of elements, each with a
tag of type and size; a matrix is an element that contains elements, and a cell or struct contains matrices.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from jaxtyping import Float

from hmlpe.data.sources.folder import LARGEST_PX
from hmlpe.errors import UserError
from hmlpe.file_kinds import describe_other_format

INT8, INT32, UINT32, MATRIX, COMPRESSED, UTF8 = 1, 5, 6, 14, 15, 16  # types of elements
NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}
TEXTS = {1, 2, 4, 16, 17, 18}
CELL, STRUCT, CHAR, SPARSE, NUMERIC = 1, 2, 4, 5, range(6, 16)  # classes of matrices
MAX_BYTES = 2**30  # of a decompressed element

Element = tuple[int, memoryview]


def check_mat5(path: Path) -> None:
    """Raise UserError if the file exists but is damaged, or contains something that scipy cannot read safely.

    For an intact file of another kind, such as MATLAB's version 7.3, the error names the kind.
    """
    if not path.is_file():
        return
    try:
        other = describe_other_format(path)
        if other is not None:
            raise UserError(f"{path}: {other}")
        _check_content(path.read_bytes())
    except (OSError, ValueError, RecursionError, zlib.error, struct.error) as error:
        raise UserError(f"{path}: not a whole MATLAB file ({error}); fetch it again") from error


def _check_content(data: bytes) -> None:
    order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(data[124:128])
    if order is None or 0 in data[:4]:
        raise ValueError("not of MATLAB's versions 5 to 7")
    for kind, content in _elements(memoryview(data)[128:], order):
        inside = [(kind, content)]
        if kind == COMPRESSED:
            inflater = zlib.decompressobj()
            inside = list(_elements(memoryview(inflater.decompress(content, MAX_BYTES)), order))
            if not inflater.eof or len(inside) != 1:
                raise ValueError("a compressed matrix is cut off")
        _check_matrices(inside, order)


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start, most = place + 8, len(data)
        if kind >> 16:  # a small element: size and type share four bytes, and the other four are the content
            kind, size, start, most = kind & 0xFFFF, kind >> 16, place + 4, 4
        end = start + size
        place = end if kind == COMPRESSED else place + 8 * math.ceil((end - place) / 8)
        if end > len(data) or size > most:
            raise ValueError(f"an element of {size} bytes is cut off")
        yield kind, data[start:end]


def _check_matrices(elements: list[Element], order: str) -> None:
    for kind, content in elements:
        if kind != MATRIX or len(content) % 8:
            raise ValueError(f"an element of type {kind} is where a matrix must be")
        if content:  # else the matrix is []
            _check_matrix(list(_elements(content, order)), order)


def _check_matrix(parts: list[Element], order: str) -> None:
    kinds = [kind for kind, _ in parts[:3]]
    if len(kinds) < 3 or kinds[0] != UINT32 or kinds[1] not in (INT32, UINT32) or kinds[2] not in (INT8, UTF8):
        raise ValueError("a matrix without flags, dimensions and name")
    flags, _ = struct.unpack(f"{order}II", parts[0][1])
    dimensions = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    if min(dimensions, default=-1) < 0:
        raise ValueError(f"a matrix of dimensions {dimensions}")
    kind, is_complex, content = flags & 0xFF, flags >> 11 & 1, parts[3:]
    count = math.prod(dimensions)
    if kind in NUMERIC or kind == SPARSE:
        _check_elements(content, NUMBERS, (3 if kind == SPARSE else 1) + is_complex)
    elif kind == CHAR:
        _check_elements(content, TEXTS, 1)
    elif kind == CELL:
        _check_elements(content, {MATRIX}, count)
        _check_matrices(content, order)
    elif kind == STRUCT:
        _check_elements(content[:2], {INT32, INT8}, 2)
        (length,) = struct.unpack(f"{order}i", content[0][1])
        names = len(content[1][1])
        if names and (length <= 0 or names % length):
            raise ValueError(f"{names} letters of field names of {length} letters each")
        _check_elements(content[2:], {MATRIX}, count * (names // length if names else 0))
        _check_matrices(content[2:], order)
    else:
        raise ValueError(f"a matrix of class {kind}, which is not read")


def _check_elements(elements: list[Element], kinds: set[int], count: int) -> None:
    if len(elements) != count or not {kind for kind, _ in elements} <= kinds:
        raise ValueError(f"a matrix of {len(elements)} elements, of types {sorted({k for k, _ in elements})}")


def read_struct_array(path: Path, variable: str) -> Sequence[Any]:
    """Read the records of a struct array, with their fields as attributes; or the slices of a matrix's first axis.

    Raises:
        UserError: the file is missing, truncated or not a MATLAB file, or has no such variable.
    """
    if not path.is_file():
        raise UserError(f"{path}: annotation file is missing; is data.root the folder that holds {path.name}?")
    check_mat5(path)
    try:
        content = scipy.io.loadmat(str(path), squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a truncated file can make scipy raise any error, e.g. zlib.error or IndexError
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a whole MATLAB file ({reason}); fetch it again") from error
    if variable not in content:
        raise UserError(f"{path}: no variable {variable!r}; is this the set's own annotation file?")
    return list(np.atleast_1d(content[variable]))


def field(record: Any, name: str, where: str) -> Any:
    """Return the named field of a record. Raises UserError if it is missing."""
    if not hasattr(record, name):
        raise UserError(f"{where}: field {name!r} is missing")
    return getattr(record, name)


def array(record: Any, name: str, shape: tuple[int, ...], where: str) -> Float[np.ndarray, ...]:
    """Return a field as floats of the given shape. Raises UserError if it is anything else."""
    value = field(record, name, where)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: field {name!r} does not hold numbers, got {str(value)[:40]!r}") from error
    if numbers.shape != shape:
        raise UserError(f"{where}: field {name!r} must be of shape {shape}, got {numbers.shape}")
    return numbers


def whole_number(record: Any, name: str, where: str) -> int:
    """Return a field as a whole number of at least 0. Raises UserError if it is anything else."""
    value = float(array(record, name, (), where))
    if not value.is_integer() or value < 0:
        raise UserError(f"{where}: field {name!r} must be a whole number, got {value:g}")
    return int(value)


def box(record: Any, name: str, where: str) -> Float[np.ndarray, " 4"]:
    """Return a field as a box x0 y0 x1 y1. Raises UserError unless it has an area and lies within a photo's limits."""
    found = array(record, name, (4,), where)
    if not ((abs(found) < LARGEST_PX).all() and (found[2:] > found[:2]).all()):
        raise UserError(f"{where}: field {name!r} must be a box [minx miny maxx maxy], got {found.tolist()}")
    return found

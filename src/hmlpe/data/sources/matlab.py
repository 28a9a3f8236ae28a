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
        _check_file_bytes(path.read_bytes())
    except (OSError, ValueError, RecursionError, zlib.error, struct.error) as error:
        raise UserError(f"{path}: not a whole MATLAB file ({error}); fetch it again") from error


def _check_file_bytes(data: bytes) -> None:
    """Raise ValueError, or an error of zlib or struct, if these bytes of a file are no intact MATLAB file."""
    order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(data[124:128])
    if order is None or 0 in data[:4]:
        raise ValueError("not of MATLAB's versions 5 to 7")
    for kind, content in _read_elements(memoryview(data)[128:], order):
        inside = [(kind, content)]
        if kind == COMPRESSED:
            inflater = zlib.decompressobj()
            inside = list(_read_elements(memoryview(inflater.decompress(content, MAX_BYTES)), order))
            if not inflater.eof or len(inside) != 1:
                raise ValueError("a compressed matrix is cut off")
        _check_matrices(inside, order)


def _read_elements(data: memoryview, byte_order: str) -> Iterator[Element]:
    """Yield type and content of each element in the data. Raises ValueError if one is cut off.

    Args:
        data: bytes of a sequence of elements.
        byte_order: "<" or ">", as in `struct`.
    """
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{byte_order}II", data, place)
        start, most = place + 8, len(data)
        if kind >> 16:  # a small element: size and type share four bytes, and the other four are the content
            kind, size, start, most = kind & 0xFFFF, kind >> 16, place + 4, 4
        end = start + size
        place = end if kind == COMPRESSED else place + 8 * math.ceil((end - place) / 8)
        if end > len(data) or size > most:
            raise ValueError(f"an element of {size} bytes is cut off")
        yield kind, data[start:end]


def _check_matrices(elements: list[Element], byte_order: str) -> None:
    """Raise ValueError if one of the elements is not an intact matrix."""
    for kind, content in elements:
        if kind != MATRIX or len(content) % 8:
            raise ValueError(f"an element of type {kind} in place of a matrix")
        if content:  # else the matrix is []
            _check_matrix(list(_read_elements(content, byte_order)), byte_order)


def _check_matrix(elements: list[Element], byte_order: str) -> None:
    """Raise ValueError if these are not the elements of an intact matrix: flags, dimensions, name and content."""
    kinds = [kind for kind, _ in elements[:3]]
    if len(kinds) < 3 or kinds[0] != UINT32 or kinds[1] not in (INT32, UINT32) or kinds[2] not in (INT8, UTF8):
        raise ValueError("a matrix without flags, dimensions and name")
    flags, _ = struct.unpack(f"{byte_order}II", elements[0][1])
    dimensions = struct.unpack(f"{byte_order}{len(elements[1][1]) // 4}i", elements[1][1])
    if min(dimensions, default=-1) < 0:
        raise ValueError(f"a matrix of dimensions {dimensions}")
    kind, is_complex, content = flags & 0xFF, flags >> 11 & 1, elements[3:]
    count = math.prod(dimensions)
    if kind in NUMERIC or kind == SPARSE:
        _check_elements(content, NUMBERS, (3 if kind == SPARSE else 1) + is_complex)
    elif kind == CHAR:
        _check_elements(content, TEXTS, 1)
    elif kind == CELL:
        _check_elements(content, {MATRIX}, count)
        _check_matrices(content, byte_order)
    elif kind == STRUCT:
        _check_elements(content[:2], {INT32, INT8}, 2)
        (length,) = struct.unpack(f"{byte_order}i", content[0][1])
        names = len(content[1][1])
        if names and (length <= 0 or names % length):
            raise ValueError(f"{names} letters of field names of {length} letters each")
        _check_elements(content[2:], {MATRIX}, count * (names // length if names else 0))
        _check_matrices(content[2:], byte_order)
    else:
        raise ValueError(f"a matrix of class {kind}, which is not supported")


def _check_elements(elements: list[Element], allowed_types: set[int], count: int) -> None:
    """Raise ValueError unless there are `count` elements, all of the allowed types."""
    if len(elements) != count or not {kind for kind, _ in elements} <= allowed_types:
        raise ValueError(f"a matrix of {len(elements)} elements, of types {sorted({k for k, _ in elements})}")


def read_struct_array(path: Path, variable: str) -> Sequence[Any]:
    """Return the elements of a variable in a MATLAB file, along its first axis.

    The elements of a struct array are records, with their fields as attributes; those of a matrix are arrays.

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


def required_field(record: Any, name: str, where: str) -> Any:
    """Return the value of a record's field. Raises UserError, beginning with `where`, if it is missing."""
    if not hasattr(record, name):
        raise UserError(f"{where}: field {name!r} is missing")
    return getattr(record, name)


def required_array(record: Any, name: str, shape: tuple[int, ...], where: str) -> Float[np.ndarray, ...]:
    """Return a record's field as an array of floats. Raises UserError if it does not hold numbers of this shape."""
    value = required_field(record, name, where)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: field {name!r} does not hold numbers, got {str(value)[:40]!r}") from error
    if numbers.shape != shape:
        raise UserError(f"{where}: field {name!r} must be of shape {shape}, got {numbers.shape}")
    return numbers


def required_whole_number(record: Any, name: str, where: str) -> int:
    """Return a record's field as a whole number. Raises UserError if it is not one, or below 0."""
    value = float(required_array(record, name, (), where))
    if not value.is_integer() or value < 0:
        raise UserError(f"{where}: field {name!r} must be a whole number, got {value:g}")
    return int(value)


def required_box(record: Any, name: str, where: str) -> Float[np.ndarray, " 4"]:
    """Return a record's field as a box x0 y0 x1 y1. Raises UserError if it has no area or is too large for a photo."""
    found = required_array(record, name, (4,), where)
    if not ((abs(found) < LARGEST_PX).all() and (found[2:] > found[:2]).all()):
        raise UserError(f"{where}: field {name!r} must be a box [minx miny maxx maxy], got {found.tolist()}")
    return found

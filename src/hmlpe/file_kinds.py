"""Recognise a file format by its first bytes, whatever the suffix says, and say how to convert the file."""

from __future__ import annotations

from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
FORMATS = (  # (first bytes, what such a file is, how to convert it to a .mat or csv)
    (
        b"\x93NUMPY",
        "a NumPy array (.npy)",
        "scipy.io.savemat('{stem}.mat', {{'pred': numpy.load('{name}')}})",
    ),
    (
        b"MATLAB 7.3",
        "a MATLAB 7.3 .mat file (HDF5)",
        "in MATLAB, load it and save it with '-v7'; or in Python "
        "scipy.io.savemat('{stem}_v7.mat', {{'pred': h5py.File('{name}')['VARIABLE'][()].T}})",
    ),
    (
        HDF5,
        "HDF5 (.h5)",
        "scipy.io.savemat('{stem}.mat', {{'pred': h5py.File('{name}')['DATASET'][()]}})",
    ),
    (
        b"PK\x03\x04",
        "a zip archive, like .npz, .pt and .xlsx files",
        "an .npz by scipy.io.savemat('{stem}.mat', dict(numpy.load('{name}'))); a spreadsheet by saving as CSV (UTF-8)",
    ),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)", "save it as CSV (UTF-8)"),
    (b"\x80", "a Python pickle", "load it in Python, then scipy.io.savemat('{stem}.mat', {{'pred': ARRAY}})"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it"),
    (b"{", "JSON", "load it in Python, then scipy.io.savemat('{stem}.mat', {{'pred': ARRAY}}), or write a csv"),
    (b"[", "JSON", "load it in Python, then scipy.io.savemat('{stem}.mat', {{'pred': ARRAY}}), or write a csv"),
)


def describe_other_format(path: Path) -> str | None:
    """Return a phrase that names the file's format and says how to convert it; None if the format is not in `FORMATS`.

    Text, and .mat files of MATLAB's versions 5 to 7, give None.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(16)
    for sign, what, way in FORMATS:
        if start.startswith(sign):
            return f"is {what}, which cannot be read; convert it: {way.format(name=path.name, stem=path.stem)}"
    return None

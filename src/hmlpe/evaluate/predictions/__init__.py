"""Readers of other methods' predictions, in the file formats in which they are published (docs/predictions.md)."""

from hmlpe.evaluate.predictions.buffy_tool import BuffyToolReader
from hmlpe.evaluate.predictions.matrix import MatrixReader
from hmlpe.evaluate.predictions.read import Reader, check_exists, choose_reader, read_predictions
from hmlpe.evaluate.predictions.table import CsvReader

__all__ = [
    "BuffyToolReader",
    "CsvReader",
    "MatrixReader",
    "Reader",
    "check_exists",
    "choose_reader",
    "read_predictions",
]

"""One colour a row, the same in every figure; each is seen on white and on black (contrast of at least 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hmlpe.palette import rgb
from hmlpe.report.runs import base_of, by_row
from hmlpe.runs.result import Run, row_weights

INK = "currentColor"  # of the page: the base row, which the others are compared with
GREY = "#868686"
LINES = ("#3b82f6", "#d96a2b", "#3f9b3f", "#a855c7", "#a8861d", "#0e9aa7", "#e0475b", GREY)  # of what is no row
_RAMP = ("#3b82f6", "#0e9aa7", "#3f9b3f", "#a8861d", "#d96a2b", "#e0475b", "#a855c7")  # from low to high weight


def row_colours(runs: Sequence[Run]) -> Mapping[str, str]:
    """The colours by row, in the tables' order: ink for the base task alone, grey for rows without it."""
    weights = {row: row_weights(group) for row, group in by_row(runs)}
    base = base_of(runs) if runs else ""
    fixed = {row: _fixed(own, base) for row, own in weights.items()}
    free = [row for row, colour in fixed.items() if not colour]
    ramp = {row: _ramp(index / max(1, len(free) - 1)) for index, row in enumerate(free)}
    return {row: colour or ramp[row] for row, colour in fixed.items()}


def _fixed(weights: Mapping[str, float], base: str) -> str:
    if not weights.get(base):
        return GREY
    return "" if any(value for task, value in weights.items() if task != base) else INK


def _ramp(place: float) -> str:
    """The colour at `place`, 0 to 1, of the ramp."""
    spot = place * (len(_RAMP) - 1)
    index = min(int(spot), len(_RAMP) - 2)
    pairs = zip(rgb(_RAMP[index]), rgb(_RAMP[index + 1]), strict=True)
    return "#" + "".join(f"{round(low + (spot - index) * (high - low)):02x}" for low, high in pairs)

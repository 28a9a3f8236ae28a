"""An inspection as one HTML file, and as a section of the report's page; both are made from the inspection's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hmlpe.errors import UserError
from hmlpe.inside.record import COLUMNS, MAPS, Record
from hmlpe.inside.selectivity import SIGNIFICANCE
from hmlpe.web import STYLE, data_uri, read_as_markup, render

HERE = Path(__file__).parent
MAX_MAPS = 12  # maps that the table shows


def section_context(record: Record, maps: pd.DataFrame, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the template context of the macro `inspected` in section.html.j2, which shows an inspection.

    Args:
        record: the record of the inspection.
        maps: the table of `record.maps_table`.
        pictures: contents of the picture files, by name; missing ones are left out.

    Raises:
        UserError: the table lacks a column, or has empty cells.
    """
    layers = [
        (
            one.name,
            " × ".join(str(px) for px in one.extent_px),
            " × ".join(str(px) for px in dict.fromkeys(one.stride_px)),
            str(one.maps),
            f"{one.selective}",
            f"{one.index:.3f}",
            "–" if one.bits is None else f"{one.bits:.4f}",
        )
        for one in record.layers
    ]
    missing = sorted(set(COLUMNS) - set(maps))
    if missing or maps[list(COLUMNS)].isna().any(axis=None):
        raise UserError(f"{MAPS}: {'has no ' + missing[0] if missing else 'has empty cells'}; inspect again")
    top = maps.sort_values("joint_index", ascending=False).head(MAX_MAPS)
    lines = [
        (
            f"{line['layer'].rpartition('.')[2]} {line['map']:.0f}",
            str(line["joint"]).replace("_", " "),
            f"{line['joint_index']:.2f}",
            f"{line['joint_hits']:.0%}",
            f"{line['joint_chance']:.0%}",
            f"{line['joint_index_p']:.3f}",
            _format_cell(line, "bits", "{:.3f}"),
            _format_cell(line, "joint_error_growth_px", "{:+.2f}"),
        )
        for _, line in top.iterrows()
    ]
    return {
        "about": (
            f"{record.network}, {record.checkpoint}, on people from {record.dataset}: averages over {record.train} "
            f"training people; all else over {record.test} test people. Near means within {record.near_px:.1f} crop "
            f"pixels along each axis. Selective: follows one joint most, beyond chance, p < {SIGNIFICANCE:g} by "
            "permuting people, corrected for the number of maps in the layer; people from one film resemble each "
            "other, so p is too small by an unknown amount."
        ),
        "layers_head": (
            "layer",
            "window, px",
            "stride, px",
            "maps",
            "selective",
            "mean index",
            "bits beyond place",
        ),
        "layers": layers,
        "maps_head": ("map", "prefers", "index", "hits", "by chance", "p", "bits", "error without, px"),
        "maps": lines,
        "pictures": [
            {"title": one.title, "words": one.words, "link": data_uri("image/png", pictures[one.file])}
            for one in record.pictures
            if one.file in pictures
        ],
    }


def build_page(record: Record, tables: Mapping[str, str], maps: pd.DataFrame, pictures: Mapping[str, bytes]) -> str:
    """Return the HTML page that shows an inspection.

    Args:
        record: the record of the inspection.
        tables: texts of the csv files, by name, which the page offers as downloads.
        maps: the table of `record.maps_table`.
        pictures: contents of the picture files, by name.
    """
    return render(
        "inspection.html.j2",
        [HERE],
        {
            "title": record.network,
            "style": read_as_markup(STYLE),
            "one": section_context(record, maps, pictures),
            "downloads": [(name, data_uri("text/csv", text.encode())) for name, text in tables.items()],
        },
    )


def _format_cell(row: Any, column: str, number_format: str) -> str:
    """Return a number of the table as text; a dash if the column or the value is missing."""
    return number_format.format(row[column]) if column in row and pd.notna(row[column]) else "–"

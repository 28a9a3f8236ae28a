"""Tables as text, whatever they hold: CSV, Markdown, and aligned columns for a console."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return CSV with a header line; None is an empty cell.

    >>> csv_text(["row", "E_r"], [["det_0.1", 0.05], ["a, b", None]])
    'row,E_r\ndet_0.1,0.05\n"a, b",\n'
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def markdown_lines(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the lines of a Markdown table, whose cells are Markdown already (`escape_markdown`).

    Args:
        header: the headings.
        rows: the cells of each line.
        left: indices of the columns that are aligned at the left; all others are at the right, as numbers are.
    """
    rule = [":--" if column in left else "--:" for column in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def escape_markdown(text: str) -> str:
    r"""Return the text with Markdown's special characters escaped, so that Markdown shows it unchanged.

    >>> escape_markdown("pcp_strict|a*b")
    'pcp_strict\\|a\\*b'
    """
    return re.sub(r"([\\|*`<])", r"\\\1", text)


def aligned_lines(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Return a table as lines of text for a console: aligned columns, two spaces apart, and indented by two.

    Args:
        rows: the cells of each row, the header first.
        right: indices of the columns that are aligned at the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pads = [str.rjust if column in right else str.ljust for column in range(len(widths))]
    return [
        "  " + "  ".join(pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=True)).rstrip()
        for row in rows
    ]

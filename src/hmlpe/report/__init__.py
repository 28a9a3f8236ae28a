"""Finished runs → tables, the figure and the page. (Matplotlib and altair load slowly, so what needs them is not
imported here.)"""

from hmlpe.report.comparable import check_comparable
from hmlpe.report.runs import collect
from hmlpe.report.summary import Line, Stat, Table, summarise
from hmlpe.report.tables import render_csv, render_markdown, render_runs, render_tex, render_text
from hmlpe.report.write import write_report
from hmlpe.runs.result import Run

__all__ = [
    "Line",
    "Run",
    "Stat",
    "Table",
    "check_comparable",
    "collect",
    "render_csv",
    "render_markdown",
    "render_runs",
    "render_tex",
    "render_text",
    "summarise",
    "write_report",
]

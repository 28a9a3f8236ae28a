"""Finished runs → tables and the figure. (`hmlpe.report.figure` loads matplotlib, so it is not imported here.)"""

from hmlpe.report.comparable import check_comparable
from hmlpe.report.render import render_csv, render_markdown, render_tex, render_text
from hmlpe.report.result import Run
from hmlpe.report.runs import collect
from hmlpe.report.summary import Line, Stat, Table, summarise
from hmlpe.report.write import render_runs, write_report

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

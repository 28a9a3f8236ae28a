"""The tables, the figure and the page of a study's finished runs.

Modules that need matplotlib or altair are not imported here, as both load slowly.
"""

from hmlpe.report.comparable import check_comparable
from hmlpe.report.runs import collect_runs
from hmlpe.report.summary import Stat, Table, TableLine, summarise_runs
from hmlpe.report.tables import render_csv, render_markdown, render_runs, render_tex, render_text
from hmlpe.report.write import write_report
from hmlpe.runs.result import Run

__all__ = [
    "Run",
    "Stat",
    "Table",
    "TableLine",
    "check_comparable",
    "collect_runs",
    "render_csv",
    "render_markdown",
    "render_runs",
    "render_tex",
    "render_text",
    "summarise_runs",
    "write_report",
]

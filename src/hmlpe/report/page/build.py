"""All of the page put together: sections, charts, and what is lacking said in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from hmlpe.errors import UserError
from hmlpe.inside.page import HERE as INSIDE
from hmlpe.inside.page import section
from hmlpe.inside.record import FOLDER, read_record
from hmlpe.report.cells import unbeaten
from hmlpe.report.page.chart import CONFIG, Chart, vega
from hmlpe.report.page.colours import row_colours
from hmlpe.report.page.curve_charts import curve_charts
from hmlpe.report.page.pdj_chart import pdj_charts
from hmlpe.report.page.pictures import gallery_of
from hmlpe.report.page.tables import HtmlTable, main_notes, main_table, paired_tables, run_table, what_was_run
from hmlpe.report.page.weight_chart import by_name, meaning, weight_charts
from hmlpe.report.published import Published
from hmlpe.report.runs import by_row
from hmlpe.report.statistics import Statistics
from hmlpe.report.statistics.render import about
from hmlpe.report.statistics.verdict import RULE
from hmlpe.report.study import Study
from hmlpe.runs.curves import read_curves
from hmlpe.runs.result import Run
from hmlpe.web import STYLE, as_json, content_of, data_link, render

HERE = Path(__file__).parent
DOWNLOADS = ("table.csv", "table_other_rule.csv", "paired.csv", "runs.csv")  # those that there are


class Live(NamedTuple):
    """A page that is served asks every so many seconds whether another version than its own is there."""

    every_s: float
    version: str


def build_page(
    study: Study,
    texts: Mapping[str, str],
    published: Published,
    live: Live | None = None,
    runs: Sequence[Run] | None = None,
) -> str:
    """The page of a study with finished runs.

    Args:
        texts: files by name, of which `DOWNLOADS` are offered.
        published: other methods' numbers by set.
        live: None: it never asks for news, as a file does.
        runs: all of the study's; default: those of `study`.
    """
    chosen, everything = study.chosen, runs or study.chosen.runs
    colours = row_colours(everything)
    pdj, methods = pdj_charts(chosen.runs, published, colours)
    curves = curve_charts(_curves(everything), everything, colours)
    weights = weight_charts(chosen, list(colours))
    return _render(
        _common(chosen.table.title, everything, colours, curves, live)
        | {
            "about": chosen.table.about,
            "unbeaten": unbeaten(chosen.table),
            "tables": [(findings.rule, main_table(findings)) for findings in study.under],
            "table_notes": main_notes(study),
            "why_no_other": study.why_no_other,
            "paired": [_paired(findings.statistics) for findings in study.under],
            "verdict_rule": RULE,
            "rule": chosen.rule,
            "weights": weights,
            "weights_title": "Errors by row" if by_name(chosen) else "Errors over the weight",
            "meaning": meaning(chosen),
            "pdj": pdj,
            "methods": methods,
            "gallery": gallery_of(chosen.runs),
            "opened": _opened(chosen.runs),
            "inspected": _inspected(chosen.runs),
            "facts": what_was_run(chosen),
            "downloads": [(name, data_link("text/csv", texts[name].encode())) for name in DOWNLOADS if name in texts],
            "specs": as_json({chart.name: chart.spec for chart in (*weights, *curves, *pdj)}),
        }
    )


def build_waiting(title: str, why: str, runs: Sequence[Run], live: Live) -> str:
    """The page of a study that has nothing to compare yet: why, and the runs at work with their curves."""
    colours = row_colours(runs)
    curves = curve_charts(_curves(runs), runs, colours)
    specs = as_json({chart.name: chart.spec for chart in curves})
    return _render(_common(title, runs, colours, curves, live) | {"waiting": why, "specs": specs})


def _render(context: Mapping[str, Any]) -> str:
    return render("page.html.j2", [HERE, INSIDE], context)


def _common(
    title: str, runs: Sequence[Run], colours: Mapping[str, str], curves: Sequence[Chart], live: Live | None
) -> dict[str, Any]:
    return {
        "title": title,
        "waiting": "",
        "curves": curves,
        "rows": [(row, colours[row], _state(group)) for row, group in by_row(runs)],
        "state": _state(runs),
        "runs": run_table(runs),
        "live_ms": None if live is None else round(1000 * live.every_s),
        "version": live.version if live else "",
        "style": content_of(STYLE),
        "script": content_of(HERE / "script.js"),
        "vega": Markup(vega()),
        "config": as_json(CONFIG),
    }


def _paired(statistics: Statistics) -> tuple[str, str, Sequence[HtmlTable], Sequence[str]]:
    return statistics.rule, about(statistics), paired_tables(statistics), statistics.notes


def _curves(runs: Sequence[Run]) -> dict[str, Any]:
    return {run.name: read_curves(run.file.parent, run.result.epochs) for run in runs}


def _inspected(runs: Sequence[Run]) -> list[tuple[str, int, Mapping[str, Any] | str]]:
    """Row, seed, and what was found inside, of the runs that were looked into; or why it cannot be shown."""
    found: list[tuple[str, int, Mapping[str, Any] | str]] = []
    for run in runs:
        folder = run.file.parent / FOLDER
        try:
            read = read_record(folder)
        except UserError as error:
            found.append((run.row, run.seed, run.told(error)))
            continue
        if read is not None:
            record, maps = read
            if any(run.result.identity.get(key, digest) != digest for key, digest in record.made_by.items()):
                found.append(
                    (run.row, run.seed, f"{run.name}: was inspected before it was trained as it is; inspect it again")
                )
                continue
            files = [one.file for one in record.pictures if not one.people]  # single people are in the gallery
            pictures = {name: (folder / name).read_bytes() for name in files if (folder / name).is_file()}
            try:
                found.append((run.row, run.seed, section(record, maps, pictures)))
            except UserError as error:
                found.append((run.row, run.seed, f"{run.name}: {error}"))
    return found


def _state(runs: Sequence[Run]) -> str:
    """How many runs are finished, at work, failed."""
    words = {"finished": "finished", "running": "at work", "failed": "failed"}
    counts = Counter(run.status for run in runs)
    return ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status]) or "no run yet"


def _opened(runs: Sequence[Run]) -> str:
    """The row whose pictures are open at first: the lowest validation error of the base task, else the first."""
    errors = {
        row: values[0]
        for row, group in by_row(runs)
        if (values := sorted(v for run in group if (v := run.metrics.get(f"val/{run.result.base}_error")) is not None))
    }
    finished = [run.row for run in runs if run.finished]
    return min(errors, key=lambda row: errors[row]) if errors else finished[0]

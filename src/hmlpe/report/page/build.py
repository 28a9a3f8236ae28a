"""Build the page: its sections, tables and charts, and statements of what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from hmlpe.errors import UserError
from hmlpe.inside.page import HERE as INSIDE
from hmlpe.inside.page import section_context
from hmlpe.inside.record import FOLDER, read_record
from hmlpe.report.columns import clip_to_range
from hmlpe.report.comparable import describe_unfinished
from hmlpe.report.page.charts import (
    CONFIG,
    Chart,
    curve_charts,
    pdj_charts,
    row_colours,
    shows_row_names,
    vega_script,
    weight_charts,
    weight_charts_caption,
)
from hmlpe.report.page.pictures import build_gallery
from hmlpe.report.published import Published
from hmlpe.report.runs import group_by_row
from hmlpe.report.statistics import Statistics
from hmlpe.report.statistics.outcome import VERDICT_RULE
from hmlpe.report.statistics.render import describe_intervals, group_by_column
from hmlpe.report.statistics.render import difference_cells as difference_cells
from hmlpe.report.study import Findings, Study
from hmlpe.report.summary import short_digest
from hmlpe.report.tables import (
    BEST_NOTE,
    CLIPPING_NOTE,
    EMPTY,
    mean_pose_notes,
    notes_of_table,
    table_cells,
    table_headings,
)
from hmlpe.runs.curves import read_curves
from hmlpe.runs.result import Run
from hmlpe.web import STYLE, data_uri, read_as_markup, render, script_safe_json

DASH = "–"
_SIGNS = {"better": "✓", "worse": "✗"}  # no arrows, as lower may be better
DOWNLOADS = ("table.csv", "table_other_rule.csv", "paired.csv", "runs.csv")  # offered if they exist


class Cell(NamedTuple):
    """A cell of an HTML table: text, smaller text below it, and class: best, better, worse or none (no value)."""

    text: str
    below: str = ""
    kind: str = ""


class HtmlTable(NamedTuple):
    """A table of the page: caption, headings and rows; the first cell of each row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def main_table(findings: Findings) -> HtmlTable:
    """Return the table of mean ± std of each row, with the interval of the mean below it where one is known."""
    table, intervals = findings.table, findings.statistics.intervals
    first = len(table_headings(table)) - len(table.columns)
    rows = []
    for line, texts in zip(table.lines, table_cells(table), strict=True):
        row = [Cell(text.text, kind="none" if text.text == EMPTY else "") for text in texts[:first]]
        for column, text in zip(table.columns, texts[first:], strict=True):
            found = intervals.get((line.row, column.key))
            shown = [clip_to_range(column.scale * end, column.scale) for end in found or ()]
            ends = [f"{end:.{column.digits}f}" for end in shown]
            kind = "best" if text.best else "none" if text.text == EMPTY else ""
            row.append(Cell(text.text, f"{ends[0]} to {ends[1]}" if ends else "", kind))
        rows.append(row)
    return HtmlTable(f"Bold: {BEST_NOTE}.", table_headings(table), rows)


def table_notes(study: Study) -> list[str]:
    """Return the notes below the main tables.

    A note that does not hold under both checkpoint rules names its rule.
    """
    notes_by_rule = {findings.rule: notes_of_table(findings.table) for findings in study.by_rule}
    everywhere = set.intersection(*map(set, notes_by_rule.values()))
    found = [
        note if note in everywhere else f"Checkpoint {rule}: {note}"
        for rule, own in notes_by_rule.items()
        for note in own
    ]
    of_seeds = [
        line.n
        for findings in study.by_rule
        for line in findings.table.lines
        if any((line.row, column.key) in findings.statistics.intervals for column in findings.table.columns)
    ]
    if of_seeds:
        found.append(f"Below a mean: its 95 % interval over {'seeds and people' if max(of_seeds) > 1 else 'people'}.")
        found.append(CLIPPING_NOTE)
    return list(dict.fromkeys(found))


def paired_tables(statistics: Statistics) -> list[HtmlTable]:
    """Return a table for each metric, with each row's paired difference from its base row."""
    head = ["row", "verdict", "difference", "95 % over people", "over seeds and people", "seeds", "minus"]
    tables = []
    for column, found in group_by_column(statistics):
        rows = []
        for one in found:
            kind = "" if one.better is None else "better" if one.better else "worse"
            row, base, seeds, *numbers, words = difference_cells(one)
            said = f"{_SIGNS[kind]} {kind}: {words}" if kind else words
            rows.append([Cell(row), Cell(said, kind=kind), *map(Cell, (*numbers, seeds, base))])
        better = "lower" if column.better == "low" else "higher"
        tables.append(HtmlTable(f"{column.heading} ({better} is better)", head, rows))
    return tables


def run_table(runs: Sequence[Run]) -> HtmlTable:
    """Return the table of the runs: their state, when they ran, and on which machine."""
    head = ["run", "state", "epochs", "best epoch", "started (UTC)", "seconds", "machine"]
    rows = []
    for run in runs:
        result = run.result
        values: list[object] = [result.epochs, result.best_epoch, result.started, result.seconds]
        values[2] = str(values[2] or DASH).replace("T", " ").removesuffix("+00:00")
        texts = [DASH if value is None else f"{value}" for value in values]
        machine = run.provenance.get("device") or DASH
        rows.append([Cell(text) for text in (run.name, describe_unfinished(run), *texts, f"{machine}")])
    return HtmlTable("The runs of the study", head, rows)


def run_facts(findings: Findings) -> Mapping[str, str]:
    """Return texts, by heading, that say how the finished runs were made: protocol, data, code, machine, software."""
    done = [run for run in findings.runs if run.finished]
    run = done[0]

    def join_all(key: str) -> str:
        values = sorted({f"{run.provenance.get(key)}" for run in done if run.provenance.get(key) is not None})
        return ", ".join(values) or "not recorded"

    dirty = any(run.provenance.get("git_dirty") for run in done)
    packages: Mapping[str, Any] = run.provenance.get("packages") or {}
    return {
        "Protocol": str(run.result.protocol),
        "People": ", ".join(f"{value:g} {key.replace('_', ' ')}" for key, value in run.people.items() if value),
        "Checkpoint": findings.rule,
        "Recipe and network": f"{run.result.recipe}, {run.result.network}",
        "Data digest": short_digest(run.provenance["data"]),
        "Code": f"revision {join_all('git_revision')}{', with changes' if dirty else ''}; digest {join_all('code')}",
        "Machine": f"{join_all('device')}; threads {join_all('threads')}; precision {join_all('precision')}",
        "Software": ", ".join([f"Python {join_all('python')}", *(f"{k} {v}" for k, v in sorted(packages.items()))]),
    }


HERE = Path(__file__).parent


class LiveSettings(NamedTuple):
    """Settings of a page that is served while the study runs.

    Every `interval_s` seconds the page asks the server whether `version` is still the current one.
    """

    interval_s: float
    version: str


def build_page(
    study: Study,
    texts: Mapping[str, str],
    published: Published,
    live: LiveSettings | None = None,
    runs: Sequence[Run] | None = None,
) -> str:
    """Return the page of a study with finished runs, as HTML.

    Args:
        study: the study's results.
        texts: the report's text files, by name, of which `DOWNLOADS` are offered.
        published: other methods' numbers by set.
        live: settings of a served page; None: the page is a file, which never asks for a newer version.
        runs: all runs of the study; None: those of `study`.
    """
    chosen, everything = study.chosen, runs or study.chosen.runs
    colours = row_colours(everything)
    pdj, methods = pdj_charts(chosen.runs, published, colours)
    curves = curve_charts(_curves_by_run(everything), everything, colours)
    weights = weight_charts(chosen, list(colours))
    return _render_page(
        _common_context(chosen.table.title, everything, colours, curves, live)
        | {
            "about": chosen.table.about,
            "unbeaten": mean_pose_notes(chosen.table),
            "tables": [(findings.rule, main_table(findings)) for findings in study.by_rule],
            "table_notes": table_notes(study),
            "why_no_other": study.why_no_other,
            "paired": [_paired_section(findings.statistics) for findings in study.by_rule],
            "verdict_rule": VERDICT_RULE,
            "rule": chosen.rule,
            "weights": weights,
            "weights_title": "Errors by row" if shows_row_names(chosen) else "Errors by weight",
            "meaning": weight_charts_caption(chosen),
            "pdj": pdj,
            "methods": methods,
            "gallery": build_gallery(chosen.runs),
            "opened": _initially_open_row(chosen.runs),
            "inspected": _inspection_sections(chosen.runs),
            "facts": run_facts(chosen),
            "downloads": [(name, data_uri("text/csv", texts[name].encode())) for name in DOWNLOADS if name in texts],
            "specs": script_safe_json({chart.name: chart.spec for chart in (*weights, *curves, *pdj)}),
        }
    )


def build_waiting_page(title: str, reason: str, runs: Sequence[Run], live: LiveSettings) -> str:
    """Return the HTML page of a study that cannot be compared yet: the reason, and the runs with their curves."""
    colours = row_colours(runs)
    curves = curve_charts(_curves_by_run(runs), runs, colours)
    specs = script_safe_json({chart.name: chart.spec for chart in curves})
    return _render_page(_common_context(title, runs, colours, curves, live) | {"waiting": reason, "specs": specs})


def _render_page(context: Mapping[str, Any]) -> str:
    """Return the HTML of the page's template, filled with `context`."""
    return render("page.html.j2", [HERE, INSIDE], context)


def _common_context(
    title: str, runs: Sequence[Run], colours: Mapping[str, str], curves: Sequence[Chart], live: LiveSettings | None
) -> dict[str, Any]:
    """Return the context of the page's template that is needed with and without finished runs."""
    return {
        "title": title,
        "waiting": "",
        "curves": curves,
        "rows": [(row, colours[row], _describe_states(group)) for row, group in group_by_row(runs)],
        "state": _describe_states(runs),
        "runs": run_table(runs),
        "live_ms": None if live is None else round(1000 * live.interval_s),
        "version": live.version if live else "",
        "style": read_as_markup(STYLE),
        "script": read_as_markup(HERE / "script.js"),
        "vega": Markup(vega_script()),
        "config": script_safe_json(CONFIG),
    }


def _paired_section(statistics: Statistics) -> tuple[str, str, Sequence[HtmlTable], Sequence[str]]:
    """Return what the page shows of the paired differences: rule, explanation, tables and notes."""
    return statistics.rule, describe_intervals(statistics), paired_tables(statistics), statistics.notes


def _curves_by_run(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the logged curves of each run, by the run's name."""
    return {run.name: read_curves(run.file.parent, run.result.epochs) for run in runs}


def _inspection_sections(runs: Sequence[Run]) -> list[tuple[str, int, Mapping[str, Any] | str]]:
    """Return (row, seed, section) for each run that was inspected by hmlpe-inspect.

    A section is the template context of `section_context`, or a text that says why it cannot be shown.
    """
    found: list[tuple[str, int, Mapping[str, Any] | str]] = []
    for run in runs:
        folder = run.file.parent / FOLDER
        try:
            read = read_record(folder)
        except UserError as error:
            found.append((run.row, run.seed, run.error_without_folder(error)))
            continue
        if read is not None:
            record, maps = read
            if any(run.result.identity.get(key, digest) != digest for key, digest in record.made_by.items()):
                found.append(
                    (run.row, run.seed, f"{run.name}: was inspected before its latest training; inspect it again")
                )
                continue
            # Pictures of single people are in the gallery already.
            files = [one.file for one in record.pictures if not one.people]
            pictures = {name: (folder / name).read_bytes() for name in files if (folder / name).is_file()}
            try:
                found.append((run.row, run.seed, section_context(record, maps, pictures)))
            except UserError as error:
                found.append((run.row, run.seed, f"{run.name}: {error}"))
    return found


def _describe_states(runs: Sequence[Run]) -> str:
    """Return how many runs are finished, running and failed, in words."""
    words = {"finished": "finished", "running": "running", "failed": "failed"}
    counts = Counter(run.status for run in runs)
    return ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status]) or "no runs yet"


def _initially_open_row(runs: Sequence[Run]) -> str:
    """Return the row whose pictures are unfolded at first: that of the lowest validation error of the base task.

    Without such errors it is the first finished row.
    """
    errors = {
        row: values[0]
        for row, group in group_by_row(runs)
        if (values := sorted(v for run in group if (v := run.metrics.get(f"val/{run.result.base}_error")) is not None))
    }
    finished = [run.row for run in runs if run.finished]
    return min(errors, key=lambda row: errors[row]) if errors else finished[0]

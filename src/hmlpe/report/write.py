"""Write the report of a study: its tables, paired differences, `figure.png` and `report.html`."""

import shutil
from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.files import write_text_atomic
from hmlpe.report.published import Published
from hmlpe.report.statistics.render import render_paired_csv, render_paired_markdown, render_paired_text
from hmlpe.report.study import Study, read_study
from hmlpe.report.tables import WIDTH, render_csv, render_markdown, render_runs, render_tex, render_text

MAX_WIDTH = 120  # maximum width of the table on the console, in characters
OTHER_RULE_TABLE = "table_other_rule"  # name of the files with the table under the rule that was not chosen


def write_report(study: Path, out: Path | None = None, published: Published | None = None) -> str:
    """Write all files of a study's report, and return the text for the console.

    Args:
        study: the study's folder.
        out: folder of the report; None: the study's folder.
        published: other methods' numbers, see `build_page`.

    Raises:
        UserError: see `collect_runs` and `check_comparable`; raised before anything is written.
    """
    from hmlpe.report.figure import draw_figure  # matplotlib and altair are slow to load, and only this needs them
    from hmlpe.report.page import build_page

    found = read_study(study)
    folder = study if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file, not a folder for the report; pass another one")
    folder.mkdir(parents=True, exist_ok=True)
    texts = render_text_files(found)
    for name, text in texts.items():
        write_text_atomic(folder / name, text)
    if found.other is None:
        for stale in folder.glob(f"{OTHER_RULE_TABLE}.*"):
            stale.unlink()
    draw_figure(found.chosen.runs, folder / "figure.png")
    write_text_atomic(folder / "report.html", build_page(found, texts, published or {}))
    written = "\n".join(f"wrote {folder / name}" for name in (*texts, "figure.png", "report.html"))
    width = max(WIDTH, min(shutil.get_terminal_size((WIDTH, 24)).columns, MAX_WIDTH))
    paired = render_paired_text(found.chosen.statistics, width)
    return "\n".join([render_text(found.chosen.table, width), *([paired] if paired else []), f"{written}\n"])


def render_text_files(study: Study) -> dict[str, str]:
    """Return the content of all text files of a study's report, by file name."""
    table, by_rule = study.chosen.table, [findings.statistics for findings in study.by_rule]
    texts = {
        "runs.csv": render_runs(study.chosen.runs),
        "table.csv": render_csv(table),
        "table.md": render_markdown(table),
        "table.tex": render_tex(table),
        "paired.csv": render_paired_csv(by_rule),
        "paired.md": render_paired_markdown(table.title, by_rule),
    }
    if study.other is not None:
        texts |= {
            f"{OTHER_RULE_TABLE}.csv": render_csv(study.other.table),
            f"{OTHER_RULE_TABLE}.md": render_markdown(study.other.table),
            f"{OTHER_RULE_TABLE}.tex": render_tex(study.other.table),
        }
    return texts

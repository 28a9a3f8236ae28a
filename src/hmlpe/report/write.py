"""A study's folder → its `runs.csv`, `table.csv|md|tex` and `figure.png`."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from hmlpe.errors import UserError
from hmlpe.files import write_text_atomic
from hmlpe.report.render import render_csv, render_markdown, render_tex, render_text
from hmlpe.report.result import Run
from hmlpe.report.runs import collect, in_order
from hmlpe.report.summary import summarise

_FACTS = (
    *("experiment", "protocol", "checkpoint_rule", "recipe", "network"),
    *("start", "epochs", "steps_before", "steps", "best_epoch", "seconds", "started"),
)
_PROVENANCE = ("git_revision", "git_dirty", "code", "data", "config", "settings", "device")


def write_report(study: Path, out: Path | None = None) -> str:
    """Write all outputs of `study` into `out` (default: the study's own folder); return the text for the console.

    Raises UserError (see `collect` and `check_comparable`) before anything is written.
    """
    from hmlpe.report.figure import draw_figure  # matplotlib is slow to load, and only this line needs it

    runs = collect(study)
    table = summarise(runs)
    folder = study if out is None else out
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file, not a folder for the report; pass another one")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "runs.csv": render_runs(runs),
        "table.csv": render_csv(table),
        "table.md": render_markdown(table),
        "table.tex": render_tex(table),
    }
    for name, text in texts.items():
        write_text_atomic(folder / name, text)
    draw_figure(runs, folder / "figure.png")
    written = "\n".join(f"wrote {folder / name}" for name in (*texts, "figure.png"))
    return f"{render_text(table)}\n{written}\n"


def render_runs(runs: Sequence[Run]) -> str:
    """`runs.csv`: one line a run, whatever its status; the same runs give the same columns in the same order.

    Metrics are unscaled, `<split>/<metric>`; those of the mean pose, as this run scored it, are under `mean_pose/`.
    """
    tasks = sorted({task for run in runs for task in run.weights}, reverse=True)
    metrics = sorted({key for run in runs for key in run.metrics})
    poses = sorted({key for run in runs for key in run.mean_pose})
    people = sorted({key for run in runs for key in run.people})
    header = ["row", "seed", "status", *(f"weight_{task}" for task in tasks), *metrics]
    header += [*(f"mean_pose/{key}" for key in poses), *(f"people_{key}" for key in people)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *_FACTS, *_PROVENANCE, "error"])
    for run in in_order(runs):
        values: list[object] = [run.row, run.seed, run.status, *(run.weights.get(task) for task in tasks)]
        values += [run.metrics.get(key) for key in metrics] + [run.mean_pose.get(key) for key in poses]
        values += [run.people.get(key) for key in people] + [run.facts.get(key) for key in _FACTS]
        writer.writerow([*values, *(run.provenance.get(key) for key in _PROVENANCE), run.facts.get("error")])
    return out.getvalue()

"""`runs.csv`: every run of a study with all its numbers."""

import csv
import io
from collections.abc import Sequence

from hmlpe.report.runs import in_order
from hmlpe.report.summary import tasks_of
from hmlpe.runs.result import Run

_FACTS = (
    *("experiment", "protocol", "checkpoint_rule", "recipe", "network"),
    *("start", "epochs", "steps_before", "steps", "best_epoch", "seconds", "started"),
)
_PROVENANCE = ("git_revision", "git_dirty", "code", "data", "config", "settings", "device")


def render_runs(runs: Sequence[Run]) -> str:
    """`runs.csv`: one line a run, whatever its status; the same runs give the same columns in the same order.

    Metrics are unscaled, `<split>/<metric>`; those of the mean pose, as this run scored it, are under `mean_pose/`.
    """
    tasks = tasks_of(runs)
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
        values += [run.people.get(key) for key in people] + [_fact(run, key) for key in _FACTS]
        writer.writerow([*values, *(run.provenance.get(key) for key in _PROVENANCE), run.result.error])
    return out.getvalue()


def _fact(run: Run, key: str) -> object:
    return run.rule if key == "checkpoint_rule" else getattr(run.result, key)

"""The progress display of a sweep: none, plain lines, or on a terminal a live table of all runs."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hmlpe.errors import UserError
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.training.watch import Progress

log = logging.getLogger(__name__)

MINUTE_S = 60.0
FRAME_LINES = 6  # lines of the terminal that are not rows of the table
HEADINGS = ("run", "state", "step", "loss", "val errors", "steps/s", "left/took", "device")
# Left out in this order on a narrow terminal; of val errors, only names are cut.
OPTIONAL_COLUMNS = ("device", "steps/s", "loss", "val errors", "step")
MIN_STATE_WIDTH = 8  # minimum characters of a state (finished, running); an error's text is cut to the room left
COLUMN_GAP = 2  # characters between two columns


class ProgressView:
    """Keeps track of the jobs and shows nothing; the derived classes show the changes.

    Args:
        jobs: all jobs of the sweep.
        slots: number of jobs that run at once.

    Attributes:
        at_work: numbers of the jobs that are running.
    """

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        self.jobs, self.slots, self.at_work = jobs, slots, set[int]()

    def __enter__(self) -> ProgressView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def on_started(self, job: Job) -> None:
        """Handle the start of an attempt at a job."""
        self.at_work.add(job.number)

    def on_ended(self, job: Job, outcome: Outcome) -> None:
        """Handle the end of an attempt, with its outcome; if the job itself has no outcome yet, it is retried."""
        self.at_work.discard(job.number)

    def tick(self) -> None:
        """Update the display; called repeatedly while jobs run."""

    def estimate_seconds_left(self) -> float | None:
        """Estimate the seconds until all jobs are done; None as long as no job's speed or duration is known."""
        running = [job for job in self.jobs if job.number in self.at_work and job.progress is not None]
        known = [(job.progress, left) for job in running if (left := job_seconds_left(job.progress)) is not None]
        whole = [progress.steps / progress.rate for progress, _ in known if progress and progress.rate]
        past = [job.seconds for job in self.jobs if job.outcome is not None and job.outcome.kind == "finished"]
        each = whole or [seconds for seconds in past if seconds]
        waiting = sum(job.outcome is None and job.number not in self.at_work for job in self.jobs)
        if not each or (running and not known):
            return None
        total = sum(left for _, left in known) + waiting * sum(each) / len(each)
        return max([total / self.slots, *(left for _, left in known)])

    def summary(self) -> str:
        """Return the state of the sweep in one line."""
        finished = sum(job.outcome is not None and job.outcome.kind == "finished" for job in self.jobs)
        over = [job.outcome.kind for job in self.jobs if job.outcome is not None and job.outcome.kind != "finished"]
        interrupted, failed = over.count("interrupted"), len(over) - over.count("interrupted")
        left = self.estimate_seconds_left()
        parts = [f"{finished} of {len(self.jobs)} finished"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{interrupted} interrupted"] if interrupted else []
        parts += [f"{len(self.at_work)} running"] if self.at_work else []
        return ", ".join(parts) + (f", about {format_duration(left)} left" if left is not None and self.at_work else "")


class LineView(ProgressView):
    """Logs a line when a job starts or ends, and one a minute."""

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        super().__init__(jobs, slots)
        self.last_logged = time.monotonic()

    def on_started(self, job: Job) -> None:
        """Log that an attempt has started, and on which slot."""
        super().on_started(job)
        log.info("%s: starts on %s%s", job.name, job.slot, ", again" if job.attempts else "")

    def on_ended(self, job: Job, outcome: Outcome) -> None:
        """Log the attempt's outcome."""
        super().on_ended(job, outcome)
        errors = format_errors(job.progress) if outcome.kind == "finished" else ""
        log.info(
            "%s: %s after %s%s%s; %s", job.name, outcome, format_duration(job.seconds), f", {errors}" if errors else "",
            ", retrying" if job.outcome is None else "", self.summary(),
        )  # fmt: skip

    def tick(self) -> None:
        """Log the state of the sweep once a minute."""
        if time.monotonic() - self.last_logged >= MINUTE_S:
            self.last_logged = time.monotonic()
            steps = [f"{job.name} {format_step(job.progress)}" for job in self.jobs if job.number in self.at_work]
            log.info("%s (%s)", self.summary(), "; ".join(steps))


class LiveTable(ProgressView):
    """A live table of the runs that are running or over, and the number that wait.

    If the table is too long for the terminal, the runs that have been over for longest are left out.
    """

    def __init__(self, jobs: Sequence[Job], slots: int, console: Console | None = None) -> None:
        super().__init__(jobs, slots)
        self.show_all = True  # for the last picture, and the first, which Live draws before `self.live` is set
        self.live = Live(console=console, get_renderable=self.table, refresh_per_second=2)
        self.handlers = [handler for handler in logging.root.handlers if type(handler) is logging.StreamHandler]

    def __enter__(self) -> ProgressView:
        self.show_all = False
        self.live.start()
        for handler in self.handlers:  # log lines then appear above the table
            handler.setStream(sys.stdout)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.show_all = True
        self.live.stop()
        for handler in self.handlers:
            handler.setStream(sys.stdout)

    def table(self) -> Table:
        """Return the table as it is now."""
        table = Table(title=self.summary(), title_justify="left", title_style="bold", box=None, pad_edge=False)
        begun = [job for job in self.jobs if job.number in self.at_work or job.outcome is not None]
        room = len(begun) if self.show_all else max(len(self.at_work), self.live.console.height - FRAME_LINES)
        over = [job for job in begun if job.number not in self.at_work]
        hidden = {job.number for job in over[: max(0, len(begun) - room)]}
        shown = [job for job in begun if job.number not in hidden]
        rows = fit_columns([self._cells(job) for job in shown], self.live.console.width) if shown else []
        for heading in rows[0] if rows else HEADINGS[:2]:
            table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
        for job, row in zip(shown, rows, strict=True):
            table.add_row(*row.values(), style=self._style(job))
        waiting = len(self.jobs) - len(begun)
        notes = [f"{len(hidden)} more have ended"] if hidden else []
        table.caption = ", ".join([*notes, *([f"{waiting} waiting"] if waiting else [])]) or None
        return table

    def _cells(self, job: Job) -> dict[str, str]:
        running = job.number in self.at_work
        state = "running" if running else str(job.outcome)
        progress = job.progress
        rate = f"{progress.rate:.1f}" if progress and progress.rate else ""
        left = job_seconds_left(progress)
        loss = f"{progress.losses['train/total']:.4g}" if progress and "train/total" in progress.losses else ""
        last = (format_duration(left) if left is not None else "") if running else format_duration(job.seconds)
        cells = job.name, state, format_step(progress), loss, format_errors(progress), rate, last, job.slot
        return dict(zip(HEADINGS, cells, strict=True))

    def _style(self, job: Job) -> str:
        if job.number in self.at_work or job.outcome is None:
            return ""
        return "dim" if job.outcome.kind == "finished" else "red"


def fit_columns(rows: Sequence[Mapping[str, str]], width: int) -> list[dict[str, str]]:
    """Return the table's rows with as many columns as fit into `width` characters; a shortened state ends in "…".

    Args:
        rows: the cells of each row, by heading.
        width: width of the terminal in characters.
    """
    kept, found = list(HEADINGS), [dict(row) for row in rows]
    for less in (None, *OPTIONAL_COLUMNS):
        if less == "val errors":
            for row in found:
                row[less] = re.sub(r"([^\W\d]{3})\w* ", r"\1 ", row[less])  # "reg 0.0815, det 47.2"
        elif less:
            kept.remove(less)
        taken = [max(len(text) for text in (name, *(row[name] for row in found))) for name in kept if name != "state"]
        room = width - sum(taken) - COLUMN_GAP * len(taken)
        if room >= MIN_STATE_WIDTH:
            break
    for row in found:
        row["state"] = (
            row["state"] if len(row["state"]) <= room else row["state"][: max(MIN_STATE_WIDTH, room) - 1] + "…"
        )
    return [{name: row[name] for name in kept} for row in found]


VIEWS: dict[str, type[ProgressView]] = {"table": LiveTable, "lines": LineView, "none": ProgressView}


def make_view(setting: str, jobs: Sequence[Job], slots: int) -> ProgressView:
    """Return the view for a setting: table, lines, none, or auto (the table if stdout is a terminal, else lines).

    Raises:
        UserError: the setting is none of these.
    """
    check_progress_setting(setting)
    if setting == "auto":
        setting = "table" if sys.stdout.isatty() else "lines"
    return VIEWS[setting](jobs, slots)


def check_progress_setting(setting: object) -> None:
    """Raise UserError unless it is a valid setting for `make_view`."""
    if setting not in ("auto", *VIEWS):
        raise UserError(f"hydra.launcher.progress: must be auto, table, lines or none, got {setting!r}")


def format_duration(seconds: float) -> str:
    """Return a duration as text.

    >>> format_duration(12.0), format_duration(200.0), format_duration(7510.0)
    ('12 s', '3 min 20 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    parts = (whole // 60, "min", whole % 60, "s") if whole < 3600 else (whole // 3600, "h", whole % 3600 // 60, "min")
    return " ".join(map(str, parts if parts[2] else parts[:2]))


def job_seconds_left(progress: Progress | None) -> float | None:
    """Return the estimated seconds of training left; None before the training speed is known."""
    return None if progress is None else progress.seconds_left


def format_step(progress: Progress | None) -> str:
    """Return the current step and the number of steps as text, e.g. "120/500"; "–" before any is known."""
    return f"{progress.step}/{progress.steps}" if progress else "–"


def format_errors(progress: Progress | None) -> str:
    """Return the last validation error of each task as text, e.g. "regression 0.0815, detection 47.2"."""
    found = progress.losses if progress else {}
    return ", ".join(f"{key.split('/')[1].removesuffix('_error')} {found[key]:.4g}" for key in found if "_error" in key)

"""What one watches while a sweep runs: nothing, plain lines, or on a terminal a table of all runs."""

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
FRAME_LINES = 6  # of the terminal that are not rows of the table
HEADINGS = ("run", "state", "step", "loss", "val errors", "steps/s", "left/took", "device")
LESS = ("device", "steps/s", "loss", "val errors", "step")  # what a narrow terminal goes without; of errors, long names
STATE = 8  # characters of a state at least: finished, running; an error's are cut to what is left
GAP = 2  # characters between two columns


class View:
    """Shows nothing; the others show what it is told.

    Args:
        jobs: all of the sweep.
        slots: how many run at once.
    """

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        self.jobs, self.slots, self.at_work = jobs, slots, set[int]()

    def __enter__(self) -> View:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def started(self, job: Job) -> None:
        """A try of a job has begun."""
        self.at_work.add(job.number)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A try has ended so; unless this is the job's own outcome, another follows."""
        self.at_work.discard(job.number)

    def tick(self) -> None:
        """Time has passed."""

    def left(self) -> float | None:
        """Seconds until all is done, by the jobs that have a rate; None before there is one."""
        running = [job for job in self.jobs if job.number in self.at_work and job.progress is not None]
        known = [(job.progress, left) for job in running if (left := seconds_left(job.progress)) is not None]
        whole = [progress.steps / progress.rate for progress, _ in known if progress and progress.rate]
        past = [job.seconds for job in self.jobs if job.outcome is not None and job.outcome.kind == "finished"]
        each = whole or [seconds for seconds in past if seconds]
        waiting = sum(job.outcome is None and job.number not in self.at_work for job in self.jobs)
        if not each or (running and not known):
            return None
        total = sum(left for _, left in known) + waiting * sum(each) / len(each)
        return max([total / self.slots, *(left for _, left in known)])

    def summary(self) -> str:
        """How the sweep stands, in one line."""
        finished = sum(job.outcome is not None and job.outcome.kind == "finished" for job in self.jobs)
        over = [job.outcome.kind for job in self.jobs if job.outcome is not None and job.outcome.kind != "finished"]
        interrupted, failed = over.count("interrupted"), len(over) - over.count("interrupted")
        left = self.left()
        parts = [f"{finished} of {len(self.jobs)} finished"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{interrupted} interrupted"] if interrupted else []
        parts += [f"{len(self.at_work)} at work"] if self.at_work else []
        return ", ".join(parts) + (f", about {duration(left)} left" if left is not None and self.at_work else "")


class Lines(View):
    """A line when a job begins or ends, and one a minute."""

    def __init__(self, jobs: Sequence[Job], slots: int) -> None:
        super().__init__(jobs, slots)
        self.said = time.monotonic()

    def started(self, job: Job) -> None:
        """Say it."""
        super().started(job)
        log.info("%s: begins on %s%s", job.name, job.slot, ", once more" if job.attempts else "")

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Say it."""
        super().ended(job, outcome)
        errors = errors_of(job.progress) if outcome.kind == "finished" else ""
        log.info(
            "%s: %s after %s%s%s; %s", job.name, outcome, duration(job.seconds), f", {errors}" if errors else "",
            ", tries again" if job.outcome is None else "", self.summary(),
        )  # fmt: skip

    def tick(self) -> None:
        """Say how it stands, once a minute."""
        if time.monotonic() - self.said >= MINUTE_S:
            self.said = time.monotonic()
            steps = [f"{job.name} {step_of(job.progress)}" for job in self.jobs if job.number in self.at_work]
            log.info("%s (%s)", self.summary(), "; ".join(steps))


class LiveTable(View):
    """The table of the runs that are at work or over, and how many wait; where it gets too long, without the oldest."""

    def __init__(self, jobs: Sequence[Job], slots: int, console: Console | None = None) -> None:
        super().__init__(jobs, slots)
        self.whole = True  # as the last picture is, and the first, which Live takes before it is there
        self.live = Live(console=console, get_renderable=self.table, refresh_per_second=2)
        self.handlers = [handler for handler in logging.root.handlers if type(handler) is logging.StreamHandler]

    def __enter__(self) -> View:
        self.whole = False
        self.live.start()
        for handler in self.handlers:  # what is logged goes above the table
            handler.setStream(sys.stdout)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.whole = True
        self.live.stop()
        for handler in self.handlers:
            handler.setStream(sys.stdout)

    def table(self) -> Table:
        """As it is now."""
        table = Table(title=self.summary(), title_justify="left", title_style="bold", box=None, pad_edge=False)
        begun = [job for job in self.jobs if job.number in self.at_work or job.outcome is not None]
        room = len(begun) if self.whole else max(len(self.at_work), self.live.console.height - FRAME_LINES)
        over = [job for job in begun if job.number not in self.at_work]
        hidden = {job.number for job in over[: max(0, len(begun) - room)]}
        shown = [job for job in begun if job.number not in hidden]
        rows = fitting([self._cells(job) for job in shown], self.live.console.width) if shown else []
        for heading in rows[0] if rows else HEADINGS[:2]:
            table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
        for job, row in zip(shown, rows, strict=True):
            table.add_row(*row.values(), style=self._style(job))
        waiting = len(self.jobs) - len(begun)
        notes = [f"{len(hidden)} more are over"] if hidden else []
        table.caption = ", ".join([*notes, *([f"{waiting} waiting"] if waiting else [])]) or None
        return table

    def _cells(self, job: Job) -> dict[str, str]:
        running = job.number in self.at_work
        state = "running" if running else str(job.outcome)
        progress = job.progress
        rate = f"{progress.rate:.1f}" if progress and progress.rate else ""
        left = seconds_left(progress)
        loss = f"{progress.losses['train/total']:.4g}" if progress and "train/total" in progress.losses else ""
        last = (duration(left) if left is not None else "") if running else duration(job.seconds)
        cells = job.name, state, step_of(progress), loss, errors_of(progress), rate, last, job.slot
        return dict(zip(HEADINGS, cells, strict=True))

    def _style(self, job: Job) -> str:
        if job.number in self.at_work or job.outcome is None:
            return ""
        return "dim" if job.outcome.kind == "finished" else "red"


def fitting(rows: Sequence[Mapping[str, str]], width: int) -> list[dict[str, str]]:
    """The rows, by heading, with as much as so many characters have room for; a state that is cut ends in "…"."""
    kept, found = list(HEADINGS), [dict(row) for row in rows]
    for less in (None, *LESS):
        if less == "val errors":
            for row in found:
                row[less] = re.sub(r"([^\W\d]{3})\w* ", r"\1 ", row[less])  # "reg 0.0815, det 47.2"
        elif less:
            kept.remove(less)
        taken = [max(len(text) for text in (name, *(row[name] for row in found))) for name in kept if name != "state"]
        room = width - sum(taken) - GAP * len(taken)
        if room >= STATE:
            break
    for row in found:
        row["state"] = row["state"] if len(row["state"]) <= room else row["state"][: max(STATE, room) - 1] + "…"
    return [{name: row[name] for name in kept} for row in found]


KINDS: dict[str, type[View]] = {"table": LiveTable, "lines": Lines, "none": View}


def view_of(wanted: str, jobs: Sequence[Job], slots: int) -> View:
    """The view for a setting: table, lines, none, or auto: the table where stdout is a terminal, else lines.

    Raises:
        UserError: another setting.
    """
    check_kind(wanted)
    if wanted == "auto":
        wanted = "table" if sys.stdout.isatty() else "lines"
    return KINDS[wanted](jobs, slots)


def check_kind(wanted: object) -> None:
    """Raise UserError unless it is one of those settings."""
    if wanted not in ("auto", *KINDS):
        raise UserError(f"hydra.launcher.progress: must be auto, table, lines or none, got {wanted!r}")


def duration(seconds: float) -> str:
    """For a person: 12 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    parts = (whole // 60, "min", whole % 60, "s") if whole < 3600 else (whole // 3600, "h", whole % 3600 // 60, "min")
    return " ".join(map(str, parts if parts[2] else parts[:2]))


def seconds_left(progress: Progress | None) -> float | None:
    """Of training; None before there is a rate."""
    return None if progress is None else progress.seconds_left


def step_of(progress: Progress | None) -> str:
    """The step, of all."""
    return f"{progress.step}/{progress.steps}" if progress else "–"


def errors_of(progress: Progress | None) -> str:
    """The last errors on validation people, by task."""
    found = progress.losses if progress else {}
    return ", ".join(f"{key.split('/')[1].removesuffix('_error')} {found[key]:.4g}" for key in found if "_error" in key)

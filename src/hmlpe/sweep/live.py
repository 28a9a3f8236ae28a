"""The table of all runs that one watches on a terminal, and which view a setting means."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hmlpe.errors import UserError
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.view import Lines, View, duration, errors_of, seconds_left, step_of

FRAME_LINES = 6  # of the terminal that are not rows of the table
HEADINGS = ("run", "state", "step", "loss", "val errors", "steps/s", "left/took", "device")
LESS = ("device", "steps/s", "loss", "val errors", "step")  # what a narrow terminal goes without; of errors, long names
STATE = 8  # characters of a state at least: finished, running; an error's are cut to what is left
GAP = 2  # characters between two columns


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

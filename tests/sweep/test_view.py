"""What one sees of a sweep: lines, and the table rendered to text."""

import io
import logging

import pytest
from rich.console import Console

import hmlpe.sweep.view as live
import hmlpe.sweep.view as views
from hmlpe.errors import UserError
from hmlpe.sweep.batch import summarise_outcomes
from hmlpe.sweep.jobs import Job
from hmlpe.sweep.outcome import Outcome
from hmlpe.sweep.view import LineView, LiveTable, ProgressView, format_duration, make_view
from hmlpe.training.watch import Progress

from .fakes import job

HALF = Progress(50, 100, {"train/total": 1.25, "val/regression_error": 0.0815}, 10.0)


def told(view: ProgressView) -> list[Job]:
    """Of four jobs: one has finished, one failed, one is half way, one waits."""
    done, failed, running, waiting = view.jobs
    for one in (done, failed, running):
        one.slot = "cpu"
        view.on_started(one)
    done.progress, done.seconds, done.outcome = HALF, 61.0, Outcome("finished")
    view.on_ended(done, done.outcome)
    failed.seconds, failed.outcome = 3.0, Outcome("error", "ValueError: no")
    view.on_ended(failed, failed.outcome)
    running.progress = HALF
    return [done, failed, running, waiting]


def test_the_summary_counts_and_knows_the_time() -> None:
    view = ProgressView([job(number) for number in range(4)], 2)
    assert view.summary() == "0 of 4 finished" and view.estimate_seconds_left() is None
    told(view)
    assert view.estimate_seconds_left() == pytest.approx((5 + 10) / 2)  # half of one, all of the next, two at once
    assert view.summary() == "1 of 4 finished, 1 failed, 1 running, about 8 s left"


def test_lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    view = LineView([job(number) for number in range(4)], 2)
    running = told(view)[2]
    view.tick()  # less than a minute after the start
    monkeypatch.setattr(views, "MINUTE_S", 0.0)
    view.tick()
    running.attempts = {"killed": 1}
    view.on_ended(running, Outcome("killed", "by signal 9 (SIGKILL)"))
    view.on_started(running)
    lines = caplog.messages
    assert lines[0] == "row0 · seed 1: starts on cpu"
    assert lines[3].startswith("row0 · seed 1: finished after 1 min 1 s, regression 0.0815; 1 of 4 finished, 2 running")
    assert lines[4].startswith("row1 · seed 1: error: ValueError: no after 3 s; 1 of 4 finished, 1 failed, 1 running")
    assert lines[5] == "1 of 4 finished, 1 failed, 1 running, about 8 s left (row2 · seed 1 50/100)"
    assert ": killed: by signal 9 (SIGKILL) after 0 s, retrying; 1 of 4 finished, 1 failed" in lines[6]
    assert lines[7].endswith("starts on cpu, again")


def rendered(view: LiveTable, height: int = 40, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    view.live.console = console
    console.print(view.table())
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_table() -> None:
    view = LiveTable([job(number) for number in range(4)], 2)
    told(view)
    title, heads, *rows, caption = rendered(view)
    assert title == view.summary()
    assert heads.split() == ["run", "state", "step", "loss", "val", "errors", "steps/s", "left/took", "device"]
    assert [" ".join(row.split()) for row in rows] == [
        "row0 · seed 1 finished 50/100 1.25 regression 0.0815 10.0 1 min 1 s cpu",
        "row1 · seed 1 error: ValueError: no – 3 s cpu",
        "row2 · seed 1 running 50/100 1.25 regression 0.0815 10.0 5 s cpu",
    ]
    assert caption.strip() == "1 waiting"


def test_eighty_columns_hold_the_table() -> None:
    """With the names and numbers of an ablation; nothing runs out of it, and nothing that decides is cut."""
    view = LiveTable([job(number) for number in range(4)], 2)
    told(view)
    for one, row in zip(view.jobs, ("regression_only", "det_0.0001", "det_100", "detection_only"), strict=True):
        one.config.row.name, one.config.seed = row, 10
    errors = {"val/regression_error": 0.081512, "val/detection_error": 225.61}
    view.jobs[0].progress = Progress(12000, 24000, {"train/total": 1.25, **errors}, 10.0)
    view.jobs[1].outcome = Outcome("error", "ValueError: a message that is longer than any terminal is wide " * 2)
    for width in (80, 100, 120, 200):
        title, heads, *rows, _ = rendered(view, width=width)
        assert max(map(len, (title, heads, *rows))) <= width
        assert len(rows) == 3, "a line each"
        assert "0.08151" in rows[0] and "225.6" in rows[0] and "1 min 1 s" in rows[0] and "finished" in rows[0]
        assert rows[0].startswith("regression_only · seed 10 ") and "ror: V" in rows[1]
        assert ("device" in heads) == (width >= 120)
    assert "a message that is longer" in rows[1], "as much as there is room for"


def test_a_long_table_hides_the_oldest_until_the_end() -> None:
    view = LiveTable([job(number) for number in range(4)], 2)
    told(view)
    view.show_all = False
    small = rendered(view, height=live.FRAME_LINES + 1)
    assert [line.split()[0] for line in small[2:-1]] == ["row2"] and "2 more have ended, 1 waiting" in small[-1]
    with view:
        pass
    assert len(rendered(view, height=live.FRAME_LINES + 1)) == 6


def test_kinds_of_views() -> None:
    assert [type(make_view(kind, [], 1)) for kind in ("table", "lines", "none", "auto")] == [
        LiveTable,
        LineView,
        ProgressView,
        LineView,
    ]
    with pytest.raises(UserError, match="progress: must be auto, table, lines or none, got 'bar'"):
        make_view("bar", [], 1)


def test_how_runs_ended_is_counted_once() -> None:
    ended = [job(number) for number in range(3)]
    for one in ended:
        one.outcome = Outcome("finished")
    assert (summarise_outcomes(ended), summarise_outcomes(ended[:1])) == ("all 3 runs: finished", "1 run: finished")
    ended[0].outcome = Outcome("out_of_memory")
    assert summarise_outcomes(ended) == "of 3 runs: 1 out of memory, 2 finished"


def test_durations() -> None:
    given = (0.4, 59.6, 200.0, 240.0, 3600.0, 7500.0)
    assert [format_duration(seconds) for seconds in given] == [
        "0 s",
        "1 min",
        "3 min 20 s",
        "4 min",
        "1 h",
        "2 h 5 min",
    ]

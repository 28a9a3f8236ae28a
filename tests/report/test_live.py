"""The page of a study that still runs: made when something has changed, and whatever the study's state, a page."""

import json
import socket
from pathlib import Path

import pytest

from hmlpe.report.live import MIN_INTERVAL_S, LivePage

from ..programs import run
from .conftest import changed, make_result, write_results
from .studies import write_curves


def main_of(page: bytes) -> str:
    return page.decode().partition('<main id="main">')[2].partition('<script type="application/json"')[0]


class Clock:
    """Stands still unless it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_made_anew_only_when_something_has_changed_and_not_too_often(tmp_path: Path) -> None:
    clock = Clock()
    live = LivePage(tmp_path / "study", {}, clock)
    first = live.html()
    assert "no such study folder" in main_of(first)
    assert live.html() is first
    study = write_results(tmp_path / "study", [make_result()])
    clock.now += MIN_INTERVAL_S - 0.1
    assert live.html() is first and f'data-version="{live.version()}"' in first.decode(), "too early"
    clock.now += 0.2
    second = live.html()
    assert f'data-version="{live.version()}"' in second.decode() and second != first
    assert "The table" in main_of(second) and live.html() is second
    path = write_curves(study / "det_0.1_s1", (1.0, 0.1), 1)
    clock.now += MIN_INTERVAL_S
    assert 'id="curve-0"' in main_of(live.html())
    before = live.version()
    path.write_bytes(path.read_bytes()[:-9])  # half a line: the page stays, and is made anew
    clock.now += MIN_INTERVAL_S
    assert live.version() != before and 'id="curve-0"' in main_of(live.html())
    assert {path.name for path in study.iterdir()} == {"det_0.1_s1"}, "it writes nothing"


def test_runs_that_cannot_be_compared_are_named_on_the_page(tmp_path: Path) -> None:
    odd = changed(make_result("det_1", 1), "protocol", "another")
    write_results(tmp_path / "study", [make_result("det_0.1", 1), make_result("det_0.1", 2), odd])
    page = main_of(LivePage(tmp_path / "study", {}).html())
    assert "det_0.1_s1 and det_1_s1 cannot be compared: protocol differs" in page
    assert "det_1_s1" in page.partition("What was run")[2]


def test_a_broken_result_is_said(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "study", [make_result()])
    (folder / "det_0.1_s1" / "result.json").write_text(json.dumps(make_result())[:50])
    assert "not readable as JSON" in main_of(LivePage(folder, {}).html())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch=true", "port={taken}"], "in use"),
        ([], "no such study folder"),
        (["watch=true", "port=-1"], "port: must"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("report", "study=none", *(word.format(taken=port) for word in words), folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and said in done.stderr
    assert list(tmp_path.iterdir()) == []

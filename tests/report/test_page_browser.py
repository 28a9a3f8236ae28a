"""The page in a real browser: drawn without an error and without a request, on a desk and on a phone."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hmlpe.report import collect_runs, write_report
from hmlpe.report.page import LiveSettings, build_page
from hmlpe.report.study import study_of
from hmlpe.report.write import render_text_files
from hmlpe.web import script_safe_json

from ..programs import Started
from .conftest import changed, make_result
from .studies import ROWS, write_curves, write_study
from .test_page import PUBLISHED, specs

PATIENCE_MS = 30_000  # on a busy machine
expect.set_options(timeout=PATIENCE_MS)
CHARTS = 12  # 3 over the weight, 7 curves, 2 of accuracy


@pytest.fixture(scope="module")
def study(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(study: Path) -> Path:
    write_report(study, published=PUBLISHED)
    return study / "report.html"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page. Afterwards: no word in its console, and no request but for the file, data, and this machine."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    said, requests = list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    page.close()
    assert said == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "http://127.0.0.1:"))] == []


def opened(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator("html[data-drawn]").wait_for()


def test_all_figures_are_drawn(page: Page, report: Path) -> None:
    opened(page, report)
    expect(page.locator("html")).to_have_attribute("data-drawn", str(CHARTS))
    expect(page.locator(".canvas svg")).to_have_count(CHARTS)
    for canvas in page.locator(".canvas").all():
        assert canvas.locator("svg .mark-line path, svg .mark-symbol path").count() > 0
        box = canvas.locator("svg.marks").bounding_box()
        assert box is not None and box["width"] > 250 and box["height"] > 150
    pictures = page.locator(".people svg:visible")
    assert pictures.count() == 12
    assert page.evaluate("[...document.querySelectorAll('defs image')].every(one => one.href.baseVal.length > 500)")


def test_rows_are_hidden_and_shown_by_the_keyboard(page: Page, report: Path) -> None:
    opened(page, report)
    lines = page.locator("#pdj-0 svg .mark-line path[stroke-width='1.8']")
    expect(lines).to_have_count(3)
    page.get_by_role("checkbox", name="det_0.1").focus()
    page.keyboard.press("Space")
    expect(lines).to_have_count(2)
    page.get_by_role("button", name="none").click()
    expect(lines).to_have_count(0)
    page.get_by_role("button", name="all").click()
    expect(lines).to_have_count(3)


def test_a_value_is_shown_under_the_mouse(page: Page, report: Path) -> None:
    opened(page, report)
    page.locator("#weight-0 svg .mark-symbol.role-mark path").last.hover(force=True)
    expect(page.locator("#vg-tooltip-element")).to_contain_text("95 %:")


def test_the_csv_is_saved_from_the_page(page: Page, report: Path) -> None:
    opened(page, report)
    with page.expect_download() as download:
        page.get_by_role("link", name="runs.csv").click()
    assert download.value.suggested_filename == "runs.csv"
    text = Path(download.value.path()).read_text()
    assert text == (report.parent / "runs.csv").read_text()
    assert len(list(csv.DictReader(io.StringIO(text)))) == 12
    link = page.get_by_role("link", name="paired.csv").get_attribute("href") or ""
    assert base64.b64decode(link.partition(",")[2]).decode() == (report.parent / "paired.csv").read_text()


def test_a_figure_that_cannot_be_drawn_says_so(page: Page, report: Path, tmp_path: Path) -> None:
    text, broken = report.read_text(), tmp_path / "broken.html"
    before, _, after = text.partition('id="specs">')
    charts = script_safe_json(specs(text) | {"weight-0": {"mark": 7}})
    broken.write_text(f'{before}id="specs">{charts}</script>{after.partition("</script>")[2]}')
    page.goto(broken.as_uri())
    expect(page.locator("#weight-0")).to_contain_text("This figure cannot be drawn")
    expect(page.locator(".canvas svg.marks")).to_have_count(CHARTS - 1)


@pytest.mark.slow  # a page is served, and waited for
def test_a_served_page_reloads_itself_while_it_is_not_of_the_servers_version(page: Page, study: Path) -> None:
    """Its first question gets another version than its own already: a result came while it was made."""
    found, versions = study_of(collect_runs(study)), iter(["old", "new", "new"])
    made = {
        version: build_page(found, render_text_files(found), {}, LiveSettings(0.2, version))
        for version in ("old", "new")
    }
    page.route("http://127.0.0.1:9/", lambda route: route.fulfill(body=made[next(versions)], content_type="text/html"))
    page.route("http://127.0.0.1:9/version", lambda route: route.fulfill(body="new"))
    page.add_init_script("sessionStorage.setItem('loads', 1 + Number(sessionStorage.getItem('loads')))")
    page.goto("http://127.0.0.1:9/", wait_until="commit")
    expect(page.locator("body[data-version=new]")).to_have_count(1)
    assert page.evaluate("sessionStorage.getItem('loads')") == "2"
    fold = page.locator("details[data-fold='people det_1']")
    was = fold.get_attribute("open")
    fold.locator("summary").click()
    page.wait_for_function("Object.values(sessionStorage).some((one) => one.includes('people det_1'))")
    page.reload(wait_until="commit")
    expect(fold).to_have_count(1)
    page.locator("html[data-drawn]").wait_for()
    assert fold.get_attribute("open") != was


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(page: Page, report: Path, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, report)
    width, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= room  # only the tables scroll sideways, by themselves
    ink = page.evaluate("getComputedStyle(document.querySelector('.canvas text')).fill")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ink, paper) == {
        "light": ("rgb(27, 31, 36)", "rgb(255, 255, 255)"),
        "dark": ("rgb(230, 233, 238)", "rgb(20, 23, 28)"),
    }[scheme], "the figures follow the page"


def test_a_phone_shows_every_number_of_the_tables_that_decide(page: Page, report: Path) -> None:
    """Nothing of them lies beyond the edge, where it would have to be looked for; each number has its heading."""
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, report)
    for kind, rows, columns in (("paired", 2, 7), ("numbers", 5, 15)):
        table = page.locator(f"table.{kind}").first
        cells = (
            table.locator("tbody tr")
            .locator("th, td")
            .evaluate_all(
                "all => all.filter(one => one.offsetParent).map(one => [one, one.getBoundingClientRect()])"
                ".map(([one, box]) => [one.textContent, one.dataset.head, box.left, box.right])"
            )
        )
        assert all(0 <= left <= right <= 390 for _, _, left, right in cells), kind
        assert {head for _, head, *_ in cells[1:columns] if head} and table.locator("tbody tr").count() == rows
        heads = table.locator("thead th").all_text_contents()[1:]
        assert {head for _, head, *_ in cells if head} == set(heads), "no column is left out"


@pytest.mark.slow  # a run is watched
def test_watching_shows_what_trains_and_then_its_result(page: Page, study: Path, tmp_path: Path) -> None:
    """Waits without a study, then with a run at work, then shows the table; Ctrl-C ends it."""
    server = Started("report", "study=live", f"paths.outputs={tmp_path}", "watch=true", "port=0", folder=tmp_path)
    try:
        line = server.line()
        assert "http://127.0.0.1:" in line, server.end()
        url = next(word for word in line.split() if word.startswith("http"))
        page.goto(url)
        expect(page.locator("main")).to_contain_text("no such study folder")
        run = tmp_path / "live" / "det_1_s1"
        run.mkdir(parents=True)
        (run / "result.json").write_text(
            json.dumps(changed(make_result("det_1"), "metrics", ...) | {"status": "running"})
        )
        write_curves(run, ROWS["det_1"], 1, epochs=2)
        expect(page.locator("main")).to_contain_text("No run is finished yet")
        expect(page.locator("#curve-0 svg.marks")).to_be_visible()
        expect(page.locator("#rows")).to_contain_text("running")
        for folder in study.glob("*_s1"):
            shutil.copytree(folder, tmp_path / "live" / folder.name, dirs_exist_ok=True)
        expect(page.locator("#table")).to_contain_text("det_0.1")
        expect(page.locator("header")).to_contain_text("4 finished")
        assert page.request.get(f"{url}etc/hostname").status == 404
        for host, status in (
            ("evil.example", 403),
            ("evil.example:80", 403),
            ("localhost:80", 200),
            ("localhost", 200),
        ):
            assert page.request.get(f"{url}version", headers={"Host": host}).status == status, host
        page.goto("about:blank")
        os.kill(server.pid, signal.SIGINT)
        done = server.end()
    finally:
        if server.poll() is None:
            server.kill()
    assert (done.returncode, done.stderr) == (130, "")
    said = done.stdout.removeprefix(f"{line}\n")
    assert said.count("\n") == 1 and said.startswith("ended")
    assert not list((tmp_path / "live").glob("*.html")), "watching writes nothing"

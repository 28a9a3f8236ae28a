"""The page as people use it: hmlpe-demo in a process of its own, and a real browser."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from .fakes import SKELETON

pytestmark = pytest.mark.slow  # loads gradio, and a browser the page, many times
PATIENCE_MS = 30_000  # on a busy machine
expect.set_options(timeout=PATIENCE_MS)
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


class Server:
    """hmlpe-demo over an untrained network, alone in its folders.

    Attributes:
        url: of the page.
        folder: where it is run.
        temporary: what it is told to be the folder of temporary files.
        proxy: a socket that the program's own requests would go through; nobody answers there.
    """

    def __init__(self, checkpoint: Path, root: Path) -> None:
        self.folder, self.temporary = root / "run", root / "tmp"
        for folder in (self.folder, self.temporary):
            folder.mkdir()
        self.proxy = socket.create_server(("127.0.0.1", 0))
        self.proxy.setblocking(False)
        address = f"http://127.0.0.1:{self.proxy.getsockname()[1]}"
        environment = os.environ | {"TMPDIR": str(self.temporary)} | dict.fromkeys(PROXIES, address)
        for name in ("NO_PROXY", "no_proxy"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hmlpe.cli.demo", f"checkpoint={checkpoint}", "port=0"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "http://127.0.0.1:" not in line:
            self.process.kill()
            raise AssertionError(f"hmlpe-demo says {line!r} and {self.process.communicate()[1]}")
        self.url = line.split()[4]

    def stop(self) -> tuple[int, str]:
        """Ctrl-C. Gives its exit code, and what it has said since its start."""
        self.process.send_signal(signal.SIGINT)
        try:
            said, errors = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
            self.proxy.close()
        return self.process.returncode, said + errors


@pytest.fixture(scope="module")
def server(chromium: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(checkpoint, tmp_path_factory.mktemp("server"))
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """The page, opened. Afterwards: no error in its console, and no request to another host."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    errors, requests = list[str](), list[str]()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda opened: requests.append(opened.url))
    page.goto(server.url)
    page.locator("#photo input[type=file]").wait_for(state="attached")
    yield page
    page.close()
    assert errors == []
    assert server.url in requests
    assert [url for url in requests if not url.startswith((server.url, "data:", "blob:"))] == []


def give(page: Page, photo: Path) -> None:
    """Choose the photo, and wait until something is said of it."""
    page.locator("#photo input[type=file]").set_input_files(photo)
    expect(page.locator("#status")).to_contain_text(photo.name)


def drawn(page: Page) -> np.ndarray:
    """The picture on the page, when it has been decoded by the browser too."""
    image = page.locator("#drawn img")
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    data = (image.get_attribute("src") or "").removeprefix("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def joints(page: Page) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in page.locator("#chosen tbody tr").all()]


def test_a_photo_gives_poses_maps_joints_and_a_file(page: Page, grace_hopper: Path) -> None:
    give(page, grace_hopper)
    expect(page.locator("#status [role=status]")).to_have_text("grace_hopper.jpg: 1 person found")
    change = np.abs(drawn(page).astype(int) - np.asarray(Image.open(grace_hopper)).astype(int))
    assert change.max() > 100 and np.median(change) < 5  # the same photo, with something drawn on it
    assert "1 person" in (page.locator("#drawn img").get_attribute("alt") or "")

    table = joints(page)
    assert [row[0] for row in table] == [name.replace("_", " ") for name in SKELETON.joints]
    assert all(np.isfinite([float(cell) for cell in row[1:]]).all() and len(row) == 4 for row in table)
    assert page.locator("#chosen figure.maps img").evaluate("image => image.naturalWidth") > 400
    expect(page.locator("#person")).to_be_hidden()  # nobody to choose from

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the poses").click()
    assert download.value.suggested_filename == "grace_hopper.poses.json"
    (entry,) = json.loads(Path(download.value.path()).read_text())["images"]
    (person,) = entry["people"]
    for name, (_, x, y, _) in zip(SKELETON.joints, table, strict=True):
        assert np.allclose([person["joints"][name]["x"], person["joints"][name]["y"]], [float(x), float(y)], atol=0.06)


def test_a_broken_file_is_said_and_the_page_goes_on(page: Page, grace_hopper: Path, tmp_path: Path) -> None:
    give(page, grace_hopper)
    broken = tmp_path / "cut.jpg"
    broken.write_bytes(grace_hopper.read_bytes()[:20_000])
    give(page, broken)
    said = page.locator("#status [role=alert]")
    expect(said).to_contain_text("cut.jpg: not a whole image")
    assert "\n" not in said.inner_text() and "tmp" not in said.inner_text()
    expect(page.locator("#drawn img")).to_have_count(0)  # not the last photo's
    assert joints(page) == []

    text = tmp_path / "notes.txt"
    text.write_text("no image")
    give(page, text)
    expect(said).to_contain_text("notes.txt: not a whole image")

    give(page, grace_hopper)
    expect(page.locator("#status [role=status]")).to_have_text("grace_hopper.jpg: 1 person found")
    assert drawn(page).size and len(joints(page)) == len(SKELETON.joints)


def test_another_person_is_chosen_by_the_keyboard(page: Page, grace_hopper: Path, tmp_path: Path) -> None:
    one = np.asarray(Image.open(grace_hopper))
    Image.fromarray(np.hstack([one, one[:, ::-1]])).save(tmp_path / "two.png")
    give(page, tmp_path / "two.png")
    expect(page.locator("#status")).to_contain_text("2 people found")
    expect(page.locator("#chosen caption")).to_have_text("Joints of person 1")
    first = joints(page)
    page.get_by_role("radio", name="person 1").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#chosen caption")).to_have_text("Joints of person 2")
    assert joints(page) != first
    page.get_by_role("button", name="Settings").press("Enter")
    page.get_by_label("number input for Show at most").fill("1")
    page.keyboard.press("Tab")
    expect(page.locator("#status")).to_contain_text("1 person found (1 more left out")


def test_the_user_can_say_where_the_person_is(page: Page, grace_hopper: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    Image.new("L", (300, 200), 128).save(empty)
    give(page, empty)
    expect(page.locator("#status [role=status]")).to_have_text("empty.png: no person found")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="who fills the photo").check()
    expect(page.locator("#status")).to_contain_text("1 person found")
    page.get_by_role("radio", name="in the box below").check()
    expect(page.locator("#status [role=alert]")).to_contain_text("four numbers")
    page.get_by_label("Box: x0 y0 x1 y1").fill("100 50 150 95")
    page.keyboard.press("Enter")
    expect(page.locator("#status [role=status]")).to_contain_text("1 person found")


def test_a_phone_shows_all_of_it(page: Page, grace_hopper: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    give(page, grace_hopper)
    drawn(page)
    width, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= room  # only the maps scroll sideways, by themselves
    assert page.locator("#drawn img").evaluate("image => image.clientWidth") > 250


def test_nothing_else_is_served(page: Page, server: Server) -> None:
    for path in (__file__, "/etc/hostname"):
        assert page.request.get(f"{server.url}gradio_api/file={path}").status in (403, 404)
    for path in ("docs", "openapi.json", "gradio_api/info"):
        assert __file__ not in page.request.get(server.url + path).text()


def test_ctrl_c_ends_it_without_a_word_and_nothing_stays(page: Page, server: Server, grace_hopper: Path) -> None:
    """Last, as it ends the server, with a page still open."""
    give(page, grace_hopper)
    with pytest.raises(BlockingIOError):  # nobody has called: the program itself asked nothing of the network
        server.proxy.accept()
    page.goto("about:blank")
    assert server.stop() == (130, "")
    assert list(server.temporary.rglob("*")) == []
    assert list(server.folder.rglob("*")) == []

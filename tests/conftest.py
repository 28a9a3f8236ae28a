"""What holds for the whole run: shapes checked, no network, real data only where it is."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from playwright.sync_api import Browser, sync_playwright

from . import kept_configs

# Before anything that reads them is imported; subprocesses inherit them.
os.environ.update(
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    WANDB_ERROR_REPORTING="false",
    NO_ALBUMENTATIONS_UPDATE="1",  # it asks for newer versions when imported
    MPLBACKEND="Agg",
    ORT_DISABLE_TELEMETRY="1",  # it sends what runs to its maker
    OMP_NUM_THREADS="1",  # as many tests are at work as there are cores
)

# Every annotation of hmlpe is checked at every call; a module imported earlier would go unchecked.
assert "hmlpe" not in sys.modules, "hmlpe was imported before the type-checking hook"
install_import_hook("hmlpe", "beartype.beartype")

kept_configs.keep(str(Path(__file__).parents[1] / "conf"))

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [  # a browser asks its maker for news, unless told not to
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

settings.register_profile("hmlpe", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("hmlpe")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real sets, flic/, lsp/ and buffy/: HMLPE_REAL_DATA, or shared/data beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    named = os.environ.get("HMLPE_REAL_DATA")
    folder = Path(named or beside).expanduser()
    if named and not folder.is_dir():  # a misspelt name must not pass for a run on real data
        pytest.fail(f"HMLPE_REAL_DATA: {folder} is not a folder")
    if not folder.is_dir():
        pytest.skip(
            f"no real data: {folder} is not a folder; set HMLPE_REAL_DATA to the one that holds flic/ and others"
        )
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser. Without one these tests skip; HMLPE_BROWSER=required makes them fail instead."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        words = f"no browser: none of {', '.join(BROWSERS)} is installed (Debian, Ubuntu: the package chromium)"
        if os.environ.get("HMLPE_BROWSER") == "required":
            pytest.fail(words)
        pytest.skip(words)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield browser
        browser.close()


SLOWEST = ("training", "sweep", "cli", "predict", "evaluate", "report")  # folders whose tests begin


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, so that no core idles while another works on the last one."""
    folders = {item: item.path.relative_to(Path(__file__).parent).parts[0] for item in items}
    items.sort(key=lambda item: SLOWEST.index(folders[item]) if folders[item] in SLOWEST else len(SLOWEST))

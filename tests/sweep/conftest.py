"""One pack for all sweeps of these tests."""

from pathlib import Path

import pytest

from .programs import call, finish


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "data"
    finish(call("prepare", data=folder))
    return folder

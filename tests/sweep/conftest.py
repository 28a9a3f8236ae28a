"""One pack for all sweeps of these tests."""

from pathlib import Path

import pytest

from ..programs import TINY, finish, of_packs


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "data"
    finish("prepare", f"paths.data={folder}", *of_packs(*TINY), "prepare.sheet=0")
    return folder

"""The lock is the kernel's: it goes with the process, however that ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from hmlpe.errors import UserError
from hmlpe.lock import locked

HOLD = """
import sys, pathlib
from hmlpe.lock import locked
with locked(pathlib.Path(sys.argv[1]), "run"):
    print(1, flush=True)
    input()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "1\n"
        said = f"new: this sweep is already running .process {holder.pid}."
        with pytest.raises(UserError, match=said), locked(path, "sweep"):
            pass
        holder.kill()
        with locked(path, "sweep", timeout_s=5.0):
            pass
    assert path.exists()  # it means nothing by itself
    with locked(path, "sweep"):
        pass

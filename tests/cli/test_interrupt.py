"""Ctrl-C ends every program with 130, without a traceback: while modules load, and while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from ..test_project import SCRIPTS

# At the import of the module that INTERRUPT_AT names, Ctrl-C is pressed.
AT_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


def pressed_at(module: str, program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What comes of a program in which Ctrl-C is pressed as it imports a module."""
    (folder / "hooks").mkdir()
    (folder / "hooks" / "sitecustomize.py").write_text(AT_IMPORT)
    paths = os.pathsep.join([str(folder / "hooks"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "INTERRUPT_AT": module}
    command = [sys.executable, "-m", SCRIPTS[program].partition(":")[0]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("program", SCRIPTS)
@pytest.mark.parametrize("module", ["hydra", "hydra._internal.hydra"])  # as modules load, and once it is under way
def test_it_ends_every_program(module: str, program: str, tmp_path: Path) -> None:
    done = pressed_at(module, program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def handled() -> None:
    """As servers and hmlpe-predict do."""


def turned_into_an_exit() -> None:
    """As Lightning does."""
    sys.exit(1)


def turned_into_an_error() -> None:
    """As an import within an extension does."""
    raise ImportError("cannot load")


@pytest.mark.parametrize("then", [handled, turned_into_an_exit, turned_into_an_error])
def test_whatever_a_library_makes_of_it(
    then: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hmlpe.cli import interrupt
    from hmlpe.cli.app import run_app

    def work(config: DictConfig) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            then()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # run_app sets it; this puts it back
    monkeypatch.setattr(sys, "argv", ["hmlpe-export"])
    monkeypatch.setattr(interrupt, "_interrupted", False)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as leaving:
            run_app("export", work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert leaving.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_where_it_is_ignored_it_stays_so() -> None:
    """As under nohup."""
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import hmlpe.cli.app as app; {}; print('on')"
    quiet = script.format("app.record_interrupts(); import os; os.kill(os.getpid(), signal.SIGINT)")
    done = subprocess.run([sys.executable, "-c", quiet], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "on\n")

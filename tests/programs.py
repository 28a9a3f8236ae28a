"""The programs with a user's words, each in a process of its own that starts warm: loading takes longer than most run.

That they start by themselves is seen where they are killed, swept and installed.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

TINY = [
    "network=slim",
    "network.head.hidden=[16,16]",
    "network.trunk.stages=[{maps: 2, kernel: 9, relu: true}, {maps: 2, kernel: 5, relu: true}]",
    "optim.batch_size=16",
    "trainer.threads=1",
    "data.source.train=60",
    "data.source.test=12",
]
PATIENCE_S = 240


def of_packs(*words: str) -> list[str]:
    """Return those words that hmlpe-prepare takes, too: it refuses what only a run has."""
    return [word for word in words if re.match("data|paths|skeleton|windows|size_px|prepare|experiment|-", word)]


class Started:
    """A program at work, called in `folder`; `-c` as a program is Python's: the first word is the code.

    Attributes:
        pid: its process.
    """

    def __init__(
        self, program: str, *words: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.words = [program, *words]
        place = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, place)
        self._printed = [place / name for name in ("out", "err")]
        where = [str(path) for path in (folder or Path.cwd(), *self._printed)]
        module = program if program == "-c" else f"hmlpe.cli.{program}"
        for path in self._printed:
            path.touch()
        asked = ["start", module, words, *where, dict(os.environ if environment is None else environment)]
        self.pid, self._code = int(_answer(asked)), ""

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """How it ended, if it has."""
        self._code = self._code or _answer(["poll", self.pid])
        return int(self._code) if self._code else None

    def wait(self) -> int:
        """How it ended."""
        if not self._code:
            try:
                self._code = _answer(["wait", self.pid])
            except TimeoutError:
                self.kill()
                raise TimeoutError(f"{' '.join(self.words)}: more than {PATIENCE_S} s") from None
        return int(self._code)

    def line(self) -> str:
        """The first that it printed, as soon as it has; empty if it ends without one."""
        deadline = time.monotonic() + PATIENCE_S
        while "\n" not in (said := self._printed[0].read_text()) and self.poll() is None:
            assert time.monotonic() < deadline, f"{' '.join(self.words)}: says nothing"
            time.sleep(0.02)
        return said.partition("\n")[0]

    def end(self) -> subprocess.CompletedProcess[str]:
        """How it ended, and what it printed."""
        return subprocess.CompletedProcess(self.words, self.wait(), *(path.read_text() for path in self._printed))


def run(
    program: str, *words: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What came of `hmlpe-<program> <words>`, called in `folder`."""
    return Started(program, *words, folder=folder, environment=environment).end()


def finish(program: str, *words: str, folder: Path | None = None) -> str:
    """What it printed; it must end well."""
    done = run(program, *words, folder=folder)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def _answer(asked: Sequence[Any]) -> str:
    """The server's."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        if not selector.select(PATIENCE_S):
            server.kill()
            _server.cache_clear()
            raise TimeoutError
    return server.stdout.readline().strip()


@cache
def _server() -> subprocess.Popen[str]:
    """One for each process that tests."""
    script = Path(__file__).with_name("warm_server.py")
    server = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    return server

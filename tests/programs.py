"""The programs with a user's words, each in a process of its own that starts warm: loading takes longer than most run.

That they start by themselves is seen where they are killed, swept and installed.
"""

from __future__ import annotations

import atexit
import json
import selectors
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

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


def run(program: str, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What came of `hmlpe-<program> <words>`, called in `folder`."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.TemporaryDirectory() as place:
        printed = [Path(place) / name for name in ("out", "err")]
        where = [str(path) for path in (folder or Path.cwd(), *printed)]
        server.stdin.write(json.dumps([f"hmlpe.cli.{program}", words, *where]) + "\n")
        server.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(server.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE_S):
                server.kill()
                _server.cache_clear()
                raise TimeoutError(f"hmlpe-{program} {' '.join(words)}: more than {PATIENCE_S} s")
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess([program, *words], code, *(path.read_text() for path in printed))


def finish(program: str, *words: str, folder: Path | None = None) -> str:
    """What it printed; it must end well."""
    done = run(program, *words, folder=folder)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@cache
def _server() -> subprocess.Popen[str]:
    """One for each process that tests."""
    script = Path(__file__).with_name("warm_server.py")
    server = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    return server

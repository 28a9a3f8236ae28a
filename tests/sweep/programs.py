"""Sweeps of tiny networks as a user starts them, and what of them is at work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..programs import TINY as SMALLEST
from ..programs import of_packs, run

TINY = [*SMALLEST, "trainer.accelerator=cpu"]  # on which the slots are counted
PATIENCE_S = 120


def call(program: str, *words: str, data: Path) -> list[str]:
    """A program's command, of tiny data and networks where it has them; `program` may hold a flag."""
    name, *flags = program.split()
    tiny = {"prepare": of_packs(*TINY), "report": []}.get(name, TINY)
    return [sys.executable, "-m", f"hmlpe.cli.{name}", *flags, f"paths.data={data}", *tiny, *words]


def sweep(*words: str, data: Path, outputs: Path) -> list[str]:
    return call("train -m", "experiment=weight_ablation", "logger=csv", f"paths.outputs={outputs}", *words, data=data)


def finish(command: list[str], code: int = 0) -> str:
    """Run it; returns what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said[-3000:]
    return said


def finish_warm(command: list[str], code: int = 0) -> str:
    """As `finish`, where it is not the start that counts."""
    _, flag, program, *words = command
    done = run(flag, program, *words) if flag == "-c" else run(program.removeprefix("hmlpe.cli."), *words)
    said = done.stdout + done.stderr
    assert done.returncode == code, said[-3000:]
    return said


def record(study: Path) -> dict[str, dict[str, Any]]:
    """sweep.json's jobs by the names of their folders."""
    jobs = json.loads((study / "sweep.json").read_text())["jobs"]
    return {Path(job["folder"]).name: job for job in jobs}


def until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, pause_s: float = 0.02) -> Any:
    """Wait for it; returns what it gave."""
    deadline = time.monotonic() + patience_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited {patience_s} s for {what}"
        time.sleep(pause_s)
    return found


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own in `folder`."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system may be mounted here ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


class Running:
    """A started program, and all processes that came of it: they inherit its mark, whoever their parent is by now."""

    def __init__(self, command: list[str]) -> None:
        self.mark = f"HMLPE_TEST_MARK={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            env=os.environ | {name: value},
        )  # fmt: skip
        self.pid = self.process.pid

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self.family():
            kill(pid)
        self.process.communicate()

    def family(self) -> list[int]:
        """All its processes that are alive, itself among them."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                if self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def server(self) -> int | None:
        """The fork server."""
        found = [pid for pid in self.family() if b"forkserver" in read(pid, "cmdline") and parent(pid) == self.pid]
        return found[0] if found else None

    def jobs(self) -> list[int]:
        """The processes of jobs (before the first one begins: that of the survey)."""
        server = self.server()
        return [pid for pid in self.family() if server is not None and parent(pid) == server]

    def gone(self, patience_s: float = 30.0) -> float:
        """Seconds until no process is left."""
        started = time.monotonic()
        until(lambda: not self.family(), f"processes {self.family()} to end", patience_s, 0.01)
        return time.monotonic() - started

    def end(self, code: int | None = None) -> str:
        """Wait for the program's own end; returns what it printed."""
        said = self.process.communicate(timeout=280)[0]
        assert code is None or self.process.returncode == code, said[-3000:]
        return said


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def parent(pid: int) -> int:
    fields = read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""

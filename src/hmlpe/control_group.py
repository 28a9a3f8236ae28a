"""What the kernel grants the control group of this process, as containers set it, and what it has done to it."""

from __future__ import annotations

import re
from pathlib import Path


def cpu_quota() -> float | None:
    """How many cores' time the group may take; None: no limit, or no groups (version 2) here."""
    try:
        found = re.match(r"(\d+) (\d+)", (_own() / "cpu.max").read_text())
    except OSError:
        return None
    return int(found[1]) / int(found[2]) if found else None


def memory_kills() -> int:
    """How many processes the system has killed for memory, in this group or, where it has none, at all."""
    for path in (_own() / "memory.events", Path("/proc/vmstat")):
        try:
            found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _own() -> Path:
    try:
        found = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return Path("/sys/fs/cgroup") / (found[1] if found else "")

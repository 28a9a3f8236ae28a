"""Read the limits that a container's control group (cgroup) sets for this process, and its out-of-memory kills."""

from __future__ import annotations

import re
from pathlib import Path


def cpu_quota() -> float | None:
    """Return the CPU limit of this process's control group (version 2) in cores, such as 1.5; None without one."""
    try:
        found = re.match(r"(\d+) (\d+)", (_cgroup_folder() / "cpu.max").read_text())
    except OSError:
        return None
    return int(found[1]) / int(found[2]) if found else None


def oom_kill_count() -> int:
    """Return how many processes the kernel has killed as memory ran out, in this control group.

    Without control groups, the kills on the whole machine are counted.
    """
    for path in (_cgroup_folder() / "memory.events", Path("/proc/vmstat")):
        try:
            found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _cgroup_folder() -> Path:
    """Return the folder of this process's control group, below /sys/fs/cgroup."""
    try:
        found = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return Path("/sys/fs/cgroup") / (found[1] if found else "")

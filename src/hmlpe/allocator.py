"""Keep freed memory in the process: by default, glibc returns the memory of activations to the kernel at every step."""

from __future__ import annotations

import ctypes
import sys

# malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory, and return whether it agreed (False where there is no glibc).

    The console scripts call this before torch loads. Without it, a third of a CPU training step was page faults.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 256 * 2**20))
    applied = [mallopt(option, value) == 1 for option, value in settings]
    return all(applied)

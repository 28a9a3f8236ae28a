"""The modules that the fork server imports once for all jobs; each job's process is a fork of the server.

Nothing here may start threads, use a GPU, or create anything outside the process (wandb makes folders when it is
imported): all jobs would share that.
"""

import os

from hmlpe.allocator import keep_freed_memory
from hmlpe.sweep.warm import LAUNCHER_PID, end_with_parent

# Checked now, as a launcher that has died would go unnoticed until all is loaded.
end_with_parent(int(os.environ[LAUNCHER_PID]))
keep_freed_memory()  # before torch loads

import hmlpe.metrics  # noqa: E402
import hmlpe.training.run  # noqa: E402

__all__ = ["hmlpe"]

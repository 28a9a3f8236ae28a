"""The console scripts.

Ctrl-C, memory allocation and environment variables are set up here, before any script loads torch. --help loads no
torch, so it is quick.
"""

import os

from hmlpe.cli.interrupt import exit_at_once_on_interrupt

exit_at_once_on_interrupt()

from hmlpe.allocator import keep_freed_memory  # noqa: E402

keep_freed_memory()
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns of what ranks.trainer_options wants
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news at import

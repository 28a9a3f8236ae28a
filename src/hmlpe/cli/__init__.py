"""The console scripts. Memory is set up here, before any of them loads torch; --help is quick, as it loads nothing."""

import os

from hmlpe.allocator import keep_pages

keep_pages()
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news at import

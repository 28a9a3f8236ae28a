"""The console scripts. Memory is set up here, before any of them loads torch; --help is quick, as it loads nothing."""

import os

from hmlpe.cli.interrupt import end_at_once

end_at_once()

from hmlpe.allocator import keep_pages  # noqa: E402

keep_pages()
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns of what ranks.trainer_options wants
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news at import

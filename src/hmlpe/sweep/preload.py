"""What the fork server loads once for all jobs. Nothing here may start threads or touch a GPU: jobs are forks of it."""

import os

from hmlpe.allocator import keep_pages
from hmlpe.sweep.warm import LAUNCHER, end_with_parent

end_with_parent(int(os.environ[LAUNCHER]))  # which it would not notice before all is loaded
keep_pages()  # before torch loads

import hmlpe.metrics  # noqa: E402
import hmlpe.training.run  # noqa: E402

__all__ = ["hmlpe"]

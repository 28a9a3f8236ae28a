"""What the fork server loads once for all jobs, which are forks of it.

Nothing here may start threads, touch a GPU, or make what lies outside of the process (wandb makes folders as it is
loaded): that would be shared by all jobs.
"""

import os

from hmlpe.allocator import keep_pages
from hmlpe.sweep.warm import LAUNCHER, end_with_parent

end_with_parent(int(os.environ[LAUNCHER]))  # which it would not notice before all is loaded
keep_pages()  # before torch loads

import hmlpe.metrics  # noqa: E402
import hmlpe.training.run  # noqa: E402

__all__ = ["hmlpe"]

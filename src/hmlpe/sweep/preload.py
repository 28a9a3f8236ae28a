"""What the fork server loads once for all jobs. Nothing here may start threads or touch a GPU: jobs are forks of it."""

from hmlpe.allocator import keep_pages
from hmlpe.sweep.warm import end_with_parent

end_with_parent()  # which it would not notice before all is loaded
keep_pages()  # before torch loads

import hmlpe.metrics  # noqa: E402
import hmlpe.training.run  # noqa: E402

__all__ = ["hmlpe"]

"""What the fork server loads once for all jobs. Nothing here may start threads or touch a GPU: jobs are forks of it."""

import hmlpe.cli  # sets up memory, before torch

import hmlpe.metrics  # isort: skip
import hmlpe.training.run  # isort: skip

__all__ = ["hmlpe"]

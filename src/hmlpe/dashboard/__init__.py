"""A study's dashboard in W&B as code: a workspace, a report, and a table with a line a run. Offline they are JSON."""

from hmlpe.dashboard.write import write_dashboard

__all__ = ["write_dashboard"]

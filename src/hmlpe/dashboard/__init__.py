"""A study's dashboard in W&B, made by code: a workspace, a report, and a table with a line per run.

Offline, workspace and report are written as JSON.
"""

from hmlpe.dashboard.write import write_dashboard

__all__ = ["write_dashboard"]

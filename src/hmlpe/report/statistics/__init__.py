"""Do two rows differ? Differences paired by seed and person, with confidence intervals over people and over seeds."""

from hmlpe.report.statistics.differences import compare_rows
from hmlpe.report.statistics.outcome import Difference, Interval, Statistics, verdict

__all__ = ["Difference", "Interval", "Statistics", "compare_rows", "verdict"]

"""Are two rows different? The same seeds and people paired, and intervals over people and over seeds."""

from hmlpe.report.statistics.differences import compare
from hmlpe.report.statistics.outcome import Difference, Interval, Statistics, verdict

__all__ = ["Difference", "Interval", "Statistics", "compare", "verdict"]

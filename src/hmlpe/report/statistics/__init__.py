"""Are two rows different? The same seeds and people paired, and intervals over people and over seeds."""

from hmlpe.report.statistics.differences import compare
from hmlpe.report.statistics.intervals import Interval
from hmlpe.report.statistics.outcome import Difference, Statistics
from hmlpe.report.statistics.verdict import verdict

__all__ = ["Difference", "Interval", "Statistics", "compare", "verdict"]

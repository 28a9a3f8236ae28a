"""How the tasks' losses become the one number that is minimised."""

from hmlpe.balance.fixed import FixedWeights

__all__ = ["FixedWeights"]

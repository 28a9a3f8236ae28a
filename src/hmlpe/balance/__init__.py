"""How the tasks' losses, or their gradients at the trunk, become one step."""

from hmlpe.balance.balance import Balance, Moment
from hmlpe.balance.fixed import FixedWeights
from hmlpe.balance.pcgrad import PCGrad
from hmlpe.balance.scheduled import ScheduledWeights
from hmlpe.balance.uncertainty import UncertaintyWeights

__all__ = ["Balance", "FixedWeights", "Moment", "PCGrad", "ScheduledWeights", "UncertaintyWeights"]

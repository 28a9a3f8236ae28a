"""Loss balancing: how the tasks' losses, or their gradients at the trunk, are combined into one training step."""

from hmlpe.balance.balance import Balance, StepInfo
from hmlpe.balance.fixed import FixedWeights
from hmlpe.balance.pcgrad import PCGrad
from hmlpe.balance.scheduled import ScheduledWeights
from hmlpe.balance.uncertainty import UncertaintyWeights

__all__ = ["Balance", "FixedWeights", "PCGrad", "ScheduledWeights", "StepInfo", "UncertaintyWeights"]

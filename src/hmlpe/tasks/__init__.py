"""The tasks that one network learns together; each defines its target, its loss and how its output is decoded."""

from hmlpe.tasks.detection import PartDetection
from hmlpe.tasks.regression import JointRegression
from hmlpe.tasks.task import Sample, Target, Task

__all__ = ["JointRegression", "PartDetection", "Sample", "Target", "Task"]

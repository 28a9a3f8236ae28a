"""A run's folder: what lies in it, written and read here and nowhere else.

<run>/result.json           `result`: the record of truth of one run, whose numbers say themselves what they are
<run>/config.yaml           `folder`: the configuration it was made by
<run>/people/<rule>.npz     `people`: what a checkpoint says of each test person
<run>/csv/version_<n>/…     `curves`: what each start of the run logged
<run>/checkpoints/          `folder`: the names of its checkpoints
"""

from hmlpe.runs.metric import MetricInfo, Reduction, TaskInfo
from hmlpe.runs.people import People, read_people
from hmlpe.runs.result import Result, Run, read_run

__all__ = ["MetricInfo", "People", "Reduction", "Result", "Run", "TaskInfo", "read_people", "read_run"]

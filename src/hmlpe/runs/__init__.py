"""A run's folder: the files in it, which are written and read only here.

<run>/result.json           `result`: the record of truth of one run, whose metrics carry their own descriptions
<run>/config.yaml           `folder`: the configuration that the run was made with
<run>/people/<rule>.npz     `people`: predictions and errors of one checkpoint for each test person
<run>/csv/version_<n>/…     `curves`: what each start of the run logged
<run>/checkpoints/          `folder`: the names of its checkpoints
"""

from hmlpe.runs.metric import MetricInfo, Reduction, TaskInfo
from hmlpe.runs.people import People, read_people
from hmlpe.runs.result import Result, Run, read_run

__all__ = ["MetricInfo", "People", "Reduction", "Result", "Run", "TaskInfo", "read_people", "read_run"]

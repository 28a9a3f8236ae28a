"""Metrics as torchmetrics classes; a metric's name states its protocol, normaliser and threshold.

`update` of each metric takes, by name, some of: predicted_px and truth_px (batch, joint, 2) in image pixels, torso_px
(batch,), predicted_sticks_px and true_sticks_px (batch, stick, 2, 2) in image pixels, predicted_crop_px and
truth_crop_px (batch, joint, 2) in pixels of the crop, part_maps and part_truth (batch, part, window). Unknown ground
truth is NaN. `compute` returns a dict of named floats; a value is NaN where there was nothing to measure.
"""

from hmlpe.metrics.pcp import OfficialPCP, StrictPCP, StrictPCPOfJoints
from hmlpe.metrics.pdj import ModecPDJ
from hmlpe.metrics.person import GroupMetric, PersonArrays, PersonMetric, TaskError
from hmlpe.metrics.pose import PixelError, Spread
from hmlpe.metrics.windows import MapAP, WindowAP

__all__ = [
    "GroupMetric",
    "MapAP",
    "ModecPDJ",
    "OfficialPCP",
    "PersonArrays",
    "PersonMetric",
    "PixelError",
    "Spread",
    "StrictPCP",
    "StrictPCPOfJoints",
    "TaskError",
    "WindowAP",
]

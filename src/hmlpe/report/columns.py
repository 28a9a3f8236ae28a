"""What the tables and the figure show: the only place in the report that knows a metric's or a task's name."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column of the tables: `key` is `<split>/<metric>`; values are shown as `scale * value`, `digits` decimals."""

    key: str
    heading: str
    scale: float
    digits: int
    better: Literal["high", "low", None]  # None: neither direction is better as such, so nothing is set in bold


@dataclass(frozen=True)
class Panel:
    """One panel of the figure: its lines are `(key, label)`; values are shown as `scale * value`."""

    ylabel: str
    scale: float
    lines: tuple[tuple[str, str], ...]


COLUMNS: tuple[Column, ...] = (
    Column("test/pdj_modec_elbow@0.20", "PDJ@0.2 elbow [%]", 100.0, 1, "high"),
    Column("test/pdj_modec_wrist@0.20", "PDJ@0.2 wrist [%]", 100.0, 1, "high"),
    Column("test/pcp_strict_upper_arm", "PCP strict u.arm [%]", 100.0, 1, "high"),
    Column("test/pcp_strict_lower_arm", "PCP strict l.arm [%]", 100.0, 1, "high"),
    Column("test/error_px", "joint error [px]", 1.0, 2, "low"),
    Column("test/window_ap", "window AP [%]", 100.0, 1, "high"),
    Column("train/regression_error", "E_r train", 1.0, 4, "low"),
    Column("test/regression_error", "E_r test", 1.0, 4, "low"),
    Column("train/detection_error", "E_d train", 1.0, 2, "low"),
    Column("test/detection_error", "E_d test", 1.0, 2, "low"),
    Column("test/spread", "spread of predictions", 1.0, 2, None),
)

PANELS: tuple[Panel, ...] = (
    Panel("$E_r$, regression error", 1.0, (("train/regression_error", "train"), ("test/regression_error", "test"))),
    Panel("$E_d$, detection error", 1.0, (("train/detection_error", "train"), ("test/detection_error", "test"))),
    Panel("test PDJ@0.2 [%]", 100.0, (("test/pdj_modec_elbow@0.20", "elbow"), ("test/pdj_modec_wrist@0.20", "wrist"))),
)

# Rows are ordered, and drawn, by the weight of the swept task relative to that of the base task.
BASE_TASK = "regression"
SWEPT_TASK = "detection"
WEIGHT_SYMBOLS = {"regression": "λ_r", "detection": "λ_d"}  # another task is shown as λ_<its name>

# A run whose predictions vary less than this (relative to the truth's spread) gives about one pose for every image.
SPREAD_KEY = "test/spread"
COLLAPSED_BELOW = 0.1
MEAN_POSE = "mean_pose"  # the name of that line in the tables, so no row may have it

"""A study that never ran: two rows, one seed each."""

import json
from pathlib import Path

import pytest

from ..report.described import DESCRIBED

NAMES = (
    *(f"{split}/{task}_error" for split in ("train", "val", "test") for task in ("regression", "detection")),
    *(f"{split}/pdj_modec_wrist@{t}" for split in ("val", "test") for t in ("0.10", "0.20")),
    *("test/pcp_strict_lower_arm", "val/spread", "test/window_ap", "train/total", "lr-AdamW/pg1", "lr-AdamW/pg2"),
    *("train/gradient/norm_regression", "train/gradient/norm_detection", "train/gradient/cosine"),
)


def write_run(study: Path, row: str, detection: float, names: tuple[str, ...] = NAMES, status: str = "running") -> None:
    run = study / f"{row}_s1"
    (run / "csv" / "version_0").mkdir(parents=True)
    (run / "csv" / "version_0" / "metrics.csv").write_text(",".join(["epoch", "step", *names]) + "\n")
    result = {"schema": 3, "status": status, "experiment": "study", "row": row, "seed": 1}
    result |= {"described": DESCRIBED, "pictures": ["media/poses", "media/part_maps", "media/filters"]}
    result |= {"weights": {"regression": 1.0, "detection": detection}}
    result |= {"metrics": {"test": {"regression_error": 0.2, "detection_error": None}}}
    (run / "result.json").write_text(json.dumps(result))


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    write_run(tmp_path / "study", "det_1", 1.0)
    write_run(tmp_path / "study", "regression_only", 0.0, NAMES[:3])
    return tmp_path

"""The CSV log is whole whenever a kill comes."""

from pathlib import Path

import pytest

import hmlpe.runs.curves as curves
from hmlpe.training.logs import LosslessCSVLogger


def logged(folder: Path) -> tuple[LosslessCSVLogger, Path]:
    logger = LosslessCSVLogger(folder, name="csv")
    logger.log_metrics({"train/total": 1.5, "epoch": 0}, step=3)
    logger.save()
    return logger, folder / "csv" / "version_0" / "metrics.csv"


def test_a_new_column_keeps_the_rows_before(tmp_path: Path) -> None:
    logger, path = logged(tmp_path)
    logger.log_metrics({"val/error_px": 9.0, "epoch": 0}, step=3)
    logger.save()
    assert path.read_text().split() == ["epoch,step,train/total,val/error_px", "0,3,1.5,", "0,3,,9.0"]
    assert [file.name for file in path.parent.iterdir()] == ["metrics.csv"]


def test_a_kill_as_a_column_is_added_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger, path = logged(tmp_path)
    before = path.read_text()

    class Dying(curves.csv.DictWriter):  # type: ignore[type-arg]
        def writerows(self, rows: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(curves.csv, "DictWriter", Dying)
    logger.log_metrics({"val/error_px": 9.0}, step=3)
    with pytest.raises(KeyboardInterrupt):
        logger.save()
    assert path.read_text() == before

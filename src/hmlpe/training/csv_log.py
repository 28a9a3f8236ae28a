"""Lightning's CSV log, which is the record of a run's course: whole at any moment, though its columns grow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from hmlpe.runs.curves import rewrite


class WholeCSV(CSVLogger):
    """A CSVLogger whose file loses no row that was written, whenever a kill comes. (Its own empties the file first.)"""

    @property
    def experiment(self) -> ExperimentWriter:
        """What writes the file; the first process of a run alone has a logger."""
        if self._experiment is None:
            self._experiment = _Writer(self.log_dir)
        assert isinstance(self._experiment, ExperimentWriter)
        return self._experiment


class _Writer(ExperimentWriter):
    def _rewrite_with_new_header(self, fieldnames: Sequence[str]) -> None:
        rewrite(Path(self.metrics_file_path), fieldnames)

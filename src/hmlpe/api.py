"""The programs' parts for Python: a trained network, a configuration, a run, a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from jaxtyping import UInt8
from omegaconf import DictConfig

from hmlpe.cli.command_line import CONFIGS, use
from hmlpe.predict.estimator import Card
from hmlpe.predict.open import open_estimator, trusted
from hmlpe.predict.people import FoundPerson, PosePredictor
from hmlpe.report.runs import collect
from hmlpe.report.study import Findings, study_of
from hmlpe.runs.result import Run, read_run
from hmlpe.settings import plain

if TYPE_CHECKING:
    import pandas as pd

    from hmlpe.data.datamodule import PoseDataModule
    from hmlpe.inside.inspection import Inspection
    from hmlpe.training.module import MultiTaskPose


class Model:
    """A trained network with a person detector.

    Args:
        predictor: of both.
    """

    def __init__(self, predictor: PosePredictor) -> None:
        self._predictor = predictor

    @property
    def card(self) -> Card:
        """What the network says of itself: joints, crop size, tasks."""
        return self._predictor.estimator.card

    def predict(self, image: UInt8[np.ndarray, "height width 3"] | str | Path) -> list[FoundPerson]:
        """The people in an RGB image, or a photo's file, the surest first; coordinates are its pixels.

        Raises:
            UserError: the file is no photo.
        """
        from hmlpe.data.sources.images import read_image

        if isinstance(image, str | Path):
            pixels = read_image(Path(image).parent, Path(image).name, upright=True)
        else:
            pixels = image
        found = self._predictor.detector(pixels, "")
        (people,) = self._predictor.poses_of([pixels], [found])
        return sorted(people, key=lambda person: -person.score)


def load(path: str | Path, detector: str = "cascade", device: str = "cpu", trust: Sequence[str] = ()) -> Model:
    """The network of a run's checkpoint or of an .onnx file.

    Args:
        detector: what finds the people: cascade, or whole, for photos of one person each.
        device: cpu or cuda.
        trust: packages beside this one that a checkpoint may be built of; what they hold is run.

    Raises:
        UserError: see `predict.open.open_estimator`.
    """
    from hmlpe.detect.build import build_detector

    estimator = open_estimator(Path(path), device, trust=trusted(trust))
    config = _compose("predict", [f"detector={detector}"], None)
    return Model(PosePredictor(build_detector(plain(config.detector), estimator.card.from_window), estimator))


def compose(*overrides: str, config_dir: str | Path | None = None) -> DictConfig:
    """The configuration of a run, as `hmlpe-train <overrides>` has it.

    Args:
        config_dir: a folder of configurations of one's own, as --config-dir names it.

    Raises:
        HydraException: an override that does not fit.
    """
    return _compose("train", list(overrides), config_dir)


def _compose(program: str, overrides: list[str], config_dir: str | Path | None) -> DictConfig:
    import hmlpe.row_name  # noqa: F401  # the resolver of a row's name

    use()
    own = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra_compose(program, [*overrides, *own])


def build(config: DictConfig) -> tuple[PoseDataModule, MultiTaskPose]:
    """The LightningDataModule over the prepared pack, and the LightningModule with freshly drawn weights.

    Raises:
        UserError: bad settings, or no pack.
    """
    from hmlpe.training.build import build_data, build_model, build_tasks, start_from_statistics
    from hmlpe.training.devices import check_devices
    from hmlpe.training.settings import TrainSettings

    settings = TrainSettings.of(config)
    check_devices(settings.trainer, settings.optim.batch_size)
    data = build_data(settings)
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in data.attributes]))
    start_from_statistics(model, data, settings.optim.start_at_mean)
    return data, model


def train(config: DictConfig) -> Run:
    """Train and evaluate, in the configuration's folder; a finished run is read, a broken one goes on.

    Raises:
        UserError: bad input.
    """
    from hmlpe.training.run import run
    from hmlpe.training.settings import TrainSettings

    settings = TrainSettings.of(config)
    run(settings, Path(settings.folder))
    return read_run(Path(settings.folder) / "result.json")


def inspect(checkpoint: str | Path, *overrides: str, config_dir: str | Path | None = None) -> Inspection:
    """Look into a trained network and write what was found, as `hmlpe-inspect checkpoint=… <overrides>` does.

    Raises:
        UserError: bad input.
    """
    from hmlpe.inside.run import InspectSettings, inspect_checkpoint

    config = _compose("inspect", list(overrides), config_dir)
    config.checkpoint = str(checkpoint)
    return inspect_checkpoint(InspectSettings.of(config))[0]


class Study:
    """The results of a sweep, under the checkpoint rule that it chose.

    Args:
        folder: of the study.

    Raises:
        UserError: no such study, or runs that cannot be compared.
    """

    def __init__(self, folder: str | Path) -> None:
        self.runs_found: list[Run] = collect(Path(folder))
        self.findings: Findings = study_of(self.runs_found).chosen

    @property
    def runs(self) -> pd.DataFrame:
        """A line a run: row, seed, status, weights, and its metrics, unscaled."""
        import pandas as pd

        lines = [
            {"row": run.row, "seed": run.seed, "status": run.status}
            | {f"weight_{task}": weight for task, weight in run.weights.items()}
            | dict(run.metrics)
            for run in self.runs_found
        ]
        return pd.DataFrame(lines)

    @property
    def table(self) -> pd.DataFrame:
        """A line a row: n, and mean and std of each column over its seeds, unscaled."""
        import pandas as pd

        table, lines = self.findings.table, []
        for line in table.lines:
            found: dict[str, object] = {"row": line.row, "n": line.n, "collapsed": line.collapsed}
            for column in table.columns:
                stat = line.stats[column.key]
                found |= {f"{column.key}_mean": stat and stat.mean, f"{column.key}_std": stat and stat.std}
            lines.append(found)
        return pd.DataFrame(lines).set_index("row")

    @property
    def differences(self) -> pd.DataFrame:
        """A line for each metric and row: the row minus its base, with both 95 % intervals and the verdict."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "metric": one.column.key,
                    "row": one.row,
                    "base": one.base,
                    "seeds": len(one.seeds),
                    "difference": one.mean,
                    "over_people": one.over_people,
                    "over_both": one.over_both,
                    "verdict": one.verdict,
                    "better": one.better,
                }
                for one in self.findings.statistics.differences
            ]
        )

"""The Python interface to the programs: a trained network, a configuration, a run, a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from jaxtyping import UInt8
from omegaconf import DictConfig

from hmlpe.cli.command_line import CONFIGS, register_config_source
from hmlpe.predict.estimator import ModelCard
from hmlpe.predict.open import open_estimator, parse_trust
from hmlpe.predict.people import FoundPerson, PosePredictor
from hmlpe.report.runs import collect_runs
from hmlpe.report.study import Findings, study_of
from hmlpe.runs.result import Run, read_run
from hmlpe.settings import to_plain_containers

if TYPE_CHECKING:
    import pandas as pd

    from hmlpe.data.datamodule import PoseDataModule
    from hmlpe.inside.inspection import Inspection
    from hmlpe.training.module import MultiTaskPose


class Model:
    """A trained network with a person detector, which predict the poses of the people in an image.

    Args:
        predictor: the pose predictor, made of the network and the person detector.
    """

    def __init__(self, predictor: PosePredictor) -> None:
        self._predictor = predictor

    @property
    def card(self) -> ModelCard:
        """Return the model card from the network's file: the network's name, joints, parts, crop size and tasks."""
        return self._predictor.estimator.card

    def predict(self, image: UInt8[np.ndarray, "height width 3"] | str | Path) -> list[FoundPerson]:
        """Detect the people in an image and predict their poses, those with the highest score first.

        Args:
            image: RGB pixels, or the path of a photo.

        Returns:
            The people with their joints and scores; coordinates are pixels of the image.

        Raises:
            UserError: the file is not a photo.
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
    """Load the network of a run's checkpoint or of an .onnx file, and build a person detector for it.

    Args:
        path: the checkpoint (model.ckpt) or .onnx file.
        detector: person detector: "cascade", or "whole" for photos that each show one person.
        device: "cpu" or "cuda".
        trust: packages other than hmlpe whose classes a checkpoint may use; their code is executed.

    Raises:
        UserError: the file is missing or not what its name says, or an argument is not valid.
    """
    from hmlpe.detect.build import build_detector

    estimator = open_estimator(Path(path), device, trust=parse_trust(trust))
    config = _compose("predict", [f"detector={detector}"], None)
    return Model(
        PosePredictor(
            build_detector(to_plain_containers(config.detector), estimator.card.factors_or_identity), estimator
        )
    )


def compose(*overrides: str, config_dir: str | Path | None = None) -> DictConfig:
    """Compose the configuration of a run, as `hmlpe-train <overrides>` does.

    Args:
        overrides: as on the command line, e.g. `experiment=flic`.
        config_dir: a folder with configurations of your own, as --config-dir names it.

    Raises:
        HydraException: an override is not valid.
    """
    return _compose("train", list(overrides), config_dir)


def _compose(program: str, overrides: list[str], config_dir: str | Path | None) -> DictConfig:
    """Compose the configuration `program` (e.g. "train") of conf/ with the overrides, as the console script does."""
    import hmlpe.row_name  # noqa: F401  # registers the resolver that composes a row's name

    register_config_source()
    own = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return hydra_compose(program, [*overrides, *own])


def build(config: DictConfig) -> tuple[PoseDataModule, MultiTaskPose]:
    """Build the LightningDataModule over the prepared pack, and the LightningModule with newly initialised weights.

    Raises:
        UserError: the settings are not valid, or there is no pack.
    """
    from hmlpe.training.build import build_data, build_model, build_tasks, set_mean_image_and_biases
    from hmlpe.training.devices import check_devices
    from hmlpe.training.settings import TrainSettings

    settings = TrainSettings.from_config(config)
    check_devices(settings.trainer, settings.optim.batch_size)
    data = build_data(settings)
    model = build_model(settings, build_tasks(settings, [attribute.name for attribute in data.attributes]))
    set_mean_image_and_biases(model, data, settings.optim.start_at_mean)
    return data, model


def train(config: DictConfig) -> Run:
    """Train and evaluate the configured run, write its folder, and return its result.

    If the run is finished already, its result is only read; an interrupted run is resumed.

    Raises:
        UserError: a setting is not valid, or data or files are missing.
    """
    from hmlpe.training.run import run
    from hmlpe.training.settings import TrainSettings

    settings = TrainSettings.from_config(config)
    run(settings, Path(settings.folder))
    return read_run(Path(settings.folder) / "result.json")


def inspect(checkpoint: str | Path, *overrides: str, config_dir: str | Path | None = None) -> Inspection:
    """Analyse a trained network and write the findings, as `hmlpe-inspect checkpoint=… <overrides>` does.

    Args:
        checkpoint: the checkpoint (model.ckpt) of a run.
        overrides: as on the command line.
        config_dir: a folder with configurations of your own, as --config-dir names it.

    Returns:
        The findings.

    Raises:
        UserError: a setting is not valid, or data or files are missing.
    """
    from hmlpe.inside.run import InspectSettings, inspect_checkpoint

    config = _compose("inspect", list(overrides), config_dir)
    config.checkpoint = str(checkpoint)
    return inspect_checkpoint(InspectSettings.from_config(config))[0]


class Study:
    """The results of a sweep, as pandas tables.

    Metrics are those of the checkpoint, best or last, that the sweep was configured to evaluate.

    Args:
        folder: the study's folder.

    Raises:
        UserError: there is no such study, or its runs cannot be compared.
    """

    def __init__(self, folder: str | Path) -> None:
        self._runs: list[Run] = collect_runs(Path(folder))
        self._findings: Findings = study_of(self._runs).chosen

    @property
    def runs(self) -> pd.DataFrame:
        """Return a table with one line for each run: row, seed, status, weight of each task, and metrics.

        Metrics are as stored: percentages are fractions.
        """
        import pandas as pd

        lines = [
            {"row": run.row, "seed": run.seed, "status": run.status}
            | {f"weight_{task}": weight for task, weight in run.weights.items()}
            | dict(run.metrics)
            for run in self._runs
        ]
        return pd.DataFrame(lines)

    @property
    def table(self) -> pd.DataFrame:
        """Return a table with one line for each row.

        It has n (finished seeds), collapsed (how many of these predict about one pose for every image), and each
        metric's mean and std over the seeds, as stored: percentages are fractions.
        """
        import pandas as pd

        table, lines = self._findings.table, []
        for line in table.lines:
            found: dict[str, object] = {"row": line.row, "n": line.n, "collapsed": line.collapsed}
            for column in table.columns:
                stat = line.stats[column.key]
                found |= {f"{column.key}_mean": stat and stat.mean, f"{column.key}_std": stat and stat.std}
            lines.append(found)
        return pd.DataFrame(lines).set_index("row")

    @property
    def differences(self) -> pd.DataFrame:
        """Return a table of the differences between each row and the base row that it is compared with, in each metric.

        A difference is the mean over seeds. Its 95 % bootstrap intervals are over people (`over_people`), and over
        seeds and people (`over_both`); `verdict` is the conclusion from them, in words.
        """
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
                for one in self._findings.statistics.differences
            ]
        )

"""What W&B's absence, and what cannot be drawn, costs a run: a warning."""

from pathlib import Path
from unittest.mock import Mock

import lightning as L
import pytest
from hydra import compose, initialize_config_dir

import hmlpe.training.callbacks as watched
import hmlpe.training.logs as logs
from hmlpe.cli.app import CONFIGS
from hmlpe.tracking.mirror import WandbMirror
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import TrainSettings


def test_a_broken_wandb_leaves_the_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> None:
        raise ImportError("half installed")

    monkeypatch.setattr(logs, "load_wandb", load)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        wandb, csv = (TrainSettings.from_config(compose("train", [f"logger={name}"])) for name in ("wandb", "csv"))
        found = logs.make_loggers(wandb, tmp_path, {})
    assert [type(logger).__name__ for logger in found] == ["LosslessCSVLogger"]
    assert caplog.messages == ["W&B cannot start (ImportError: half installed); the CSV has it all"]
    assert logs.wandb_failure(wandb.logger, found) == "it could not start"
    for failure in ("", "OSError: gone"):
        assert logs.wandb_failure(
            wandb.logger, [*found, Mock(spec=WandbMirror, broken=bool(failure), failure=failure)]
        ) == (failure or None)
    assert logs.wandb_failure(csv.logger, found) is None


def test_a_network_that_cannot_be_drawn_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def draw(*drawn: object) -> None:
        raise IndexError("no layer")

    monkeypatch.setattr(watched, "draw_pictures", draw)
    mirror = Mock(spec=WandbMirror, broken=False)
    trainer = Mock(spec=L.Trainer, loggers=[mirror], current_epoch=0, max_epochs=1, global_step=3)
    media = watched.MediaLog(1)
    media.on_validation_batch_end(trainer, Mock(spec=MultiTaskPose), {}, {}, 0)
    assert caplog.messages == ["no pictures (IndexError: no layer); training goes on"]
    mirror.log_picture.assert_not_called()

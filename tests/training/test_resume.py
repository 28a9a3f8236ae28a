"""What a run goes on from, in its own folder wherever that lies by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from hmlpe.training.checkpoint import ResumeCheckpoint, checkpoint_callbacks, epochs_trained, find_resume_checkpoint

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
]


class Scripted(L.LightningModule):
    """Its weight counts the steps, one an epoch; its validation error is told beforehand."""

    def __init__(self, errors: Sequence[float]) -> None:
        super().__init__()
        self.errors, self.weight = errors, torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Tensor) -> Tensor:
        return -self.weight

    def validation_step(self, batch: Tensor) -> None:
        self.log("val/regression_error", self.errors[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 1.0)


def fit(run: Path, errors: Sequence[float], select: str = "best") -> Path | None:
    """Train an epoch for each error, or go on with that; returns what it has gone on from."""
    checkpoints = run / "checkpoints"
    kept = checkpoint_callbacks(checkpoints, select, ["regression"])
    start = find_resume_checkpoint(checkpoints, [keeper.path for keeper in kept.values()], "run")
    trainer = L.Trainer(
        max_epochs=len(errors), accelerator="cpu", logger=False, num_sanity_val_steps=0, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[*kept.values(), ResumeCheckpoint(checkpoints)],
    )  # fmt: skip
    batches = DataLoader([torch.zeros(1)])
    trainer.fit(Scripted(errors), batches, batches, ckpt_path=start, weights_only=True)
    return start


def texts(tree: Any) -> Iterator[str]:
    """All texts within, keys too."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for part in [*tree.keys(), *tree.values()] if isinstance(tree, dict) else tree:
            yield from texts(part)


@pytest.mark.parametrize("select", ["best", "last"])
def test_a_moved_run_keeps_its_best_epoch(select: str, tmp_path: Path) -> None:
    """Which is before the move, and what comes after it is worse."""
    errors = [3.0, 1.0, 2.0, 2.5]
    there, here = tmp_path / "there" / "run", tmp_path / "here" / "run"
    fit(there, errors[:2], select)
    state = torch.load(there / "checkpoints" / "resume.ckpt", weights_only=True)
    assert not [text for text in texts(state) if str(tmp_path) in text]
    here.parent.mkdir()
    there.rename(here)
    assert fit(here, errors, select) == here / "checkpoints" / "resume.ckpt"
    epochs = {path.name: epochs_trained(path) for path in (here / "checkpoints").iterdir()}
    best = {"best": {"model.ckpt": 2}, "last": {"model.ckpt": 4, "best.ckpt": 2}}[select]
    assert epochs == {"resume.ckpt": 4, "resume_before.ckpt": 3} | best
    assert not there.exists()


def test_a_better_epoch_after_the_move_is_kept(tmp_path: Path) -> None:
    fit(tmp_path / "there", [3.0, 1.0])
    (tmp_path / "there").rename(tmp_path / "here")
    fit(tmp_path / "here", [3.0, 1.0, 2.0, 0.5, 0.7])
    assert epochs_trained(tmp_path / "here" / "checkpoints" / "model.ckpt") == 4


def test_a_copy_goes_on_by_itself(tmp_path: Path) -> None:
    """And leaves the original alone."""
    fit(tmp_path / "one", [3.0, 1.0])
    checkpoints, copy = tmp_path / "one" / "checkpoints", tmp_path / "two" / "checkpoints"
    copy.mkdir(parents=True)
    for path in checkpoints.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.read_bytes() for path in checkpoints.iterdir()}
    fit(tmp_path / "two", [3.0, 1.0, 0.5])
    assert {path.name: path.read_bytes() for path in checkpoints.iterdir()} == before
    assert epochs_trained(copy / "model.ckpt") == 3


def test_without_the_best_epochs_weights_it_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tmp_path, [1.0, 2.0])
    (tmp_path / "checkpoints" / "model.ckpt").unlink()
    assert fit(tmp_path, [1.0, 2.0, 3.0]) is None
    assert "model.ckpt is gone; going back to the start" in caplog.text
    assert epochs_trained(tmp_path / "checkpoints" / "model.ckpt") == 1

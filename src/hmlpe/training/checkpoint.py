"""Checkpoints: whole or absent, the last two states to go on from, and the two that a run keeps: best and last."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from hmlpe.errors import UserError
from hmlpe.files import atomic_file
from hmlpe.runs.folder import CHOSEN, OTHER_BEST, RESUME, RESUME_BEFORE
from hmlpe.runs.result import BASE
from hmlpe.skeleton import Skeleton


def base_of(tasks: Iterable[str]) -> str:
    """The task that chooses the checkpoint of all rows that train it: regression, else the first."""
    names = list(tasks)
    return BASE if BASE in names else names[0]


def monitored(active: list[str]) -> str:
    """The metric whose lowest value is best; the same for all rows that regress."""
    return f"val/{base_of(active)}_error"


def keepers(folder: Path, select: str, active: list[str]) -> dict[str, Keeper]:
    """Callbacks that keep what is evaluated of a run, by rule: the chosen checkpoint, and another for the best one.

    The last epoch needs none unless it is the chosen one: it is what a trained, or a resumed, model holds.
    """
    names = {select: CHOSEN} | ({} if select == "best" else {"best": OTHER_BEST})
    best = monitored(active)
    return {rule: Keeper(folder / name, best if rule == "best" else None) for rule, name in names.items()}


log = logging.getLogger(__name__)

KEY = "hmlpe"


class Keeper(ModelCheckpoint):
    """Keeps one file: of the last epoch, or of the one with the lowest value of a metric.

    Its state holds no path. (Lightning's holds the folder's and, once that was moved, forgets the best value.)

    Args:
        path: of the file.
        monitor: the metric; None: the last epoch.
        weights_only: without the optimiser's and the trainer's state.
    """

    def __init__(self, path: Path, monitor: str | None = None, weights_only: bool = True) -> None:
        super().__init__(
            path.parent,
            path.stem,
            monitor=monitor,
            save_weights_only=weights_only,
            save_on_train_epoch_end=True,  # not before validation is done, so that nothing of the epoch is left to do
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        self.path = path

    def state_dict(self) -> dict[str, Any]:
        """The best value so far; None before there is one, or if none is looked for."""
        return {"best_model_score": self.best_model_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from that value, whose file is where this one's is."""
        score = state_dict["best_model_score"]
        if score is not None:
            assert self.dirpath is not None
            here = os.path.join(self.dirpath, self.path.name)  # as Lightning names it
            self.best_model_score = self.kth_value = score
            self.best_model_path = self.kth_best_model_path = here
            self.best_k_models = {here: score}


class ResumeCheckpoint(Keeper):
    """The last epoch's whole state, to go on from, and the one before in case that the last is damaged.

    A class of its own, as Lightning tells callbacks apart by class.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / RESUME, weights_only=False)

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        last = Path(filepath)
        if trainer.is_global_zero and last.is_file():
            last.replace(last.with_name(RESUME_BEFORE))
        super()._save_checkpoint(trainer, filepath)


class KeptEpochs(Callback):
    """Keeps the weights after some epochs for good, in epoch_<n>.ckpt: what others start from.

    Args:
        folder: of the checkpoints.
        epochs: after how many.
    """

    def __init__(self, folder: Path, epochs: Collection[int]) -> None:
        self.folder, self.epochs = folder, frozenset(epochs)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write them, if it is time; all ranks take part."""
        done = trainer.current_epoch + 1
        if done in self.epochs:
            trainer.save_checkpoint(kept(self.folder, done), weights_only=True)


def kept(folder: Path, epoch: int) -> Path:
    """The file of the weights after so many epochs."""
    return folder / f"epoch_{epoch}.ckpt"


def kept_epoch(path: Path) -> int | None:
    """After how many epochs `KeptEpochs` wrote this file; None: it is another."""
    number = path.stem.removeprefix("epoch_")
    return int(number) if number.isdecimal() and path.name == kept(path.parent, int(number)).name else None


class WholeFiles(TorchCheckpointIO):
    """Writes beside the checkpoint, then renames. (Lightning's own goes through the system's temporary folder.)"""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`, which holds the old or the new one at any moment."""
        with atomic_file(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):  # it hides a full disk behind an "unexpected pos"
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())


def state_to_resume(checkpoints: Path, kept: Collection[Path], name: str) -> Path | None:
    """The last whole state in the folder, None if there is none. A damaged one is said and deleted.

    So are all, if the weights of an epoch that is evaluated are damaged or gone: no state holds those.

    Args:
        kept: the files of those weights.
        name: of the run, for the log.

    Raises:
        OSError: a checkpoint cannot be read, which says nothing of its content.
    """
    states = [path for path in (checkpoints / RESUME, checkpoints / RESUME_BEFORE) if path.is_file()]
    for path in kept if states else ():
        if not path.is_file() or not readable(path):
            log.warning("%s: %s is %s; going back to the start", name, path, "damaged" if path.is_file() else "gone")
            for spent in (path, *states):
                spent.unlink(missing_ok=True)
            return None
    for path in states:
        if readable(path):
            log.info("%s: going on from %s", name, path)
            return path
        other = "the one before it" if path.name == RESUME else "the start"
        log.warning("%s: %s is damaged; going back to %s", name, path, other)
        path.unlink()
    return None


def epoch_of(path: Path) -> int:
    """After how many epochs a checkpoint was written."""
    return int(torch.load(path, weights_only=True, map_location="cpu")["epoch"]) + 1


def readable(path: Path) -> bool:
    """Whether a checkpoint is whole and can be decoded. What is not its fault is raised: no access, or no memory."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the sums that torch.save wrote
            if archive.testzip() is not None:
                return False
        torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, MemoryError):  # the caller deletes what is broken, and with it the epochs that it holds
        raise
    except Exception:  # torch raises whatever the broken bytes lead to
        return False
    return True


def read_checkpoint(path: Path, skeleton: Skeleton | None = None) -> dict[str, Any]:
    """A checkpoint's content: `state_dict`, and `hmlpe` with the configuration.

    Args:
        skeleton: that it must be of; None: any.

    Raises:
        UserError: it is missing, no checkpoint of this program, or of another skeleton.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # of a plain pickle, which is refused below
            content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        described = content[KEY]["config"]["skeleton"]
        built = Skeleton(**{key: described[key] for key in ("joints", "parts", "mirror")})
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint") from error
    except Exception as error:  # torch raises whatever the broken bytes lead to
        raise UserError(f"{path}: not a checkpoint of hmlpe-train ({type(error).__name__})") from error
    if skeleton is not None and built != skeleton:
        raise UserError(f"{path}: checkpoint of another skeleton (joints {', '.join(built.joints)})")
    return content

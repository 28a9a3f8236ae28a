"""Checkpoints: the last two states, from which a run is resumed, and the two that are evaluated: best and last.

A checkpoint file is either whole or absent.
"""

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
from hmlpe.runs.rules import BASE
from hmlpe.skeleton import Skeleton

log = logging.getLogger(__name__)
KEY = "hmlpe"


def reference_task(tasks: Iterable[str]) -> str:
    """Return the task whose validation error selects the best checkpoint: regression if present, else the first task.

    >>> reference_task(["detection", "regression"])
    'regression'
    """
    names = list(tasks)
    return BASE if BASE in names else names[0]


def monitored_metric(active: list[str]) -> str:
    """Return the name of the metric whose lowest value marks the best epoch: `val/<task>_error` of `reference_task`.

    Args:
        active: the tasks with a positive weight.
    """
    return f"val/{reference_task(active)}_error"


def checkpoint_callbacks(folder: Path, select: str, active: list[str]) -> dict[str, Keeper]:
    """Return the callbacks that save the checkpoints to be evaluated, by checkpoint rule ("best" or "last").

    There is one for the selected rule, and one for the best epoch if that is not the selected rule. The last epoch
    needs no file unless it is selected: the model holds its weights after training, and after resuming.

    Args:
        folder: folder of the checkpoints.
        select: the selected rule.
        active: the tasks with a positive weight.
    """
    names = {select: CHOSEN} | ({} if select == "best" else {"best": OTHER_BEST})
    best = monitored_metric(active)
    return {rule: Keeper(folder / name, best if rule == "best" else None) for rule, name in names.items()}


class Keeper(ModelCheckpoint):
    """Lightning callback that keeps one checkpoint file: of the last epoch, or of that with a metric's lowest value.

    The callback's state holds no path. (The state of Lightning's own callback holds the folder and, once the folder has
    been moved, forgets the best value.)

    Args:
        path: path of the file.
        monitor: name of the metric; None keeps the last epoch.
        weights_only: whether the state of optimiser and trainer is left out.
    """

    def __init__(self, path: Path, monitor: str | None = None, weights_only: bool = True) -> None:
        super().__init__(
            path.parent,
            path.stem,
            monitor=monitor,
            save_weights_only=weights_only,
            save_on_train_epoch_end=True,  # comes after validation, so that a resumed run need not finish this epoch
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )
        self.path = path

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far as `best_model_score`; None before the first value, or without a metric."""
        return {"best_model_score": self.best_model_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best value so far; its checkpoint is taken to be the file at this callback's own path."""
        score = state_dict["best_model_score"]
        if score is not None:
            assert self.dirpath is not None
            here = os.path.join(self.dirpath, self.path.name)  # the path in Lightning's own spelling
            self.best_model_score = self.kth_value = score
            self.best_model_path = self.kth_best_model_path = here
            self.best_k_models = {here: score}


class ResumeCheckpoint(Keeper):
    """Keeps the complete state after the last epoch, to resume from, and the one before in case the last is damaged.

    It is a class of its own because Lightning tells callbacks apart by their class.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / RESUME, weights_only=False)

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        last = Path(filepath)
        if trainer.is_global_zero and last.is_file():
            last.replace(last.with_name(RESUME_BEFORE))
        super()._save_checkpoint(trainer, filepath)


class KeptEpochs(Callback):
    """Keeps the weights after certain epochs permanently, in epoch_<n>.ckpt, so that other runs can start from them.

    Args:
        folder: folder of the checkpoints.
        epochs: the numbers of epochs after which the weights are kept.
    """

    def __init__(self, folder: Path, epochs: Collection[int]) -> None:
        self.folder, self.epochs = folder, frozenset(epochs)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the weights, if this epoch is one of `epochs`; all ranks must take part."""
        done = trainer.current_epoch + 1
        if done in self.epochs:
            trainer.save_checkpoint(epoch_file(self.folder, done), weights_only=True)


def epoch_file(folder: Path, epoch: int) -> Path:
    """Return the path at which `KeptEpochs` keeps the weights after this number of epochs, counted from 1."""
    return folder / f"epoch_{epoch}.ckpt"


def epoch_from_name(path: Path) -> int | None:
    """Return the number of epochs in the name of a file that `KeptEpochs` wrote; None for a name of another kind.

    >>> epoch_from_name(Path("epoch_5.ckpt")), epoch_from_name(Path("model.ckpt"))
    (5, None)
    """
    number = path.stem.removeprefix("epoch_")
    return int(number) if number.isdecimal() and path.name == epoch_file(path.parent, int(number)).name else None


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder, then renames it.

    (Lightning's own class goes through the system's temporary folder.)
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`, which at any moment holds either the old file or the new one."""
        with atomic_file(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):  # torch hides a full disk behind an "unexpected pos"
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())


def find_resume_checkpoint(checkpoints: Path, evaluated: Collection[Path], run_name: str) -> Path | None:
    """Return the path of the last undamaged state in the folder, to resume from; None if there is none.

    A damaged state is logged and deleted. If the weights of an epoch that is to be evaluated are damaged or missing,
    all states are deleted, as none of them contains those weights.

    Args:
        checkpoints: folder of the checkpoints.
        evaluated: the files with the weights that are to be evaluated.
        run_name: name of the run, for the log.

    Raises:
        OSError: a checkpoint cannot be read, which does not mean that its content is damaged.
    """
    states = [path for path in (checkpoints / RESUME, checkpoints / RESUME_BEFORE) if path.is_file()]
    for path in evaluated if states else ():
        if not path.is_file() or not is_readable(path):
            log.warning(
                "%s: %s is %s; going back to the start", run_name, path, "damaged" if path.is_file() else "gone"
            )
            for spent in (path, *states):
                spent.unlink(missing_ok=True)
            return None
    for path in states:
        if is_readable(path):
            log.info("%s: resuming from %s", run_name, path)
            return path
        other = "the one before it" if path.name == RESUME else "the start"
        log.warning("%s: %s is damaged; going back to %s", run_name, path, other)
        path.unlink()
    return None


def epochs_trained(path: Path) -> int:
    """Return the number of epochs of training that a checkpoint records, counted from 1."""
    return int(torch.load(path, weights_only=True, map_location="cpu")["epoch"]) + 1


def is_readable(path: Path) -> bool:
    """Return whether a checkpoint file is undamaged and `torch.load` can read it.

    Raises:
        OSError, MemoryError: the file cannot be accessed, or memory is too small: not the fault of the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not verify the checksums that torch.save wrote
            if archive.testzip() is not None:
                return False
        torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, MemoryError):  # not False: the caller deletes broken files, and with them the epochs they hold
        raise
    except Exception:  # torch raises whatever the broken bytes lead to
        return False
    return True


def read_checkpoint(path: Path, skeleton: Skeleton | None = None) -> dict[str, Any]:
    """Read a checkpoint and return its content: `state_dict`, and `hmlpe` with the configuration.

    Args:
        path: path of the file.
        skeleton: the skeleton that the checkpoint must have been trained with; None accepts any.

    Raises:
        UserError: the file is missing, not a checkpoint of this program, or of another skeleton.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # a plain pickle, which is rejected below
            content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        described = content[KEY]["config"]["skeleton"]
        built = Skeleton(**{key: described[key] for key in ("joints", "parts", "mirror")})
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint") from error
    except Exception as error:  # torch raises whatever the broken bytes lead to
        raise UserError(f"{path}: not a checkpoint from hmlpe-train ({type(error).__name__})") from error
    if skeleton is not None and built != skeleton:
        raise UserError(f"{path}: checkpoint for another skeleton (joints {', '.join(built.joints)})")
    return content

"""What a checkpoint says of itself: the configuration it was trained with, in plain containers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton

KEY = "hmlpe"


class ResumeCheckpoint(ModelCheckpoint):
    """The last epoch's whole state, to go on from. A class of its own, as Lightning tells callbacks apart by class."""


def epoch_of(path: Path) -> int:
    """After how many epochs a checkpoint was written."""
    return int(torch.load(path, weights_only=True, map_location="cpu")["epoch"]) + 1


def readable(path: Path) -> bool:
    """Whether a checkpoint can be decoded. What is not the file's fault is raised: no access to it, or no memory."""
    try:
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

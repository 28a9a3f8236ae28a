"""The weights of a checkpoint into a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from hmlpe.errors import UserError
from hmlpe.skeleton import Skeleton
from hmlpe.training.checkpoint import KEY, read_checkpoint
from hmlpe.training.module import MultiTaskPose
from hmlpe.training.settings import ModelSettings
from hmlpe.training.trusted import blame_file, check

FIXED = "hmlpe.balance.FixedWeights"  # of checkpoints from before there were others
HEADS = "network.heads."  # how the names of the heads' weights begin
BALANCE = "balance."  # and those of the balance's state


def load_weights(model: MultiTaskPose, path: Path, skeleton: Skeleton, heads: str = "keep") -> dict[str, Any]:
    """Load a checkpoint's weights, mean image included. The balance is the model's own, whichever the checkpoint had.

    Args:
        skeleton: of the model.
        heads: "keep" loads them too; "renew" leaves the model's own, whatever the checkpoint's skeleton is.

    Returns:
        What the checkpoint says of itself.

    Raises:
        UserError: it is no checkpoint, or of another skeleton or network.
    """
    content = read_checkpoint(path, skeleton if heads == "keep" else None)
    weights: dict[str, Tensor] = content["state_dict"]
    kept = (BALANCE, HEADS) if heads == "renew" else (BALANCE,)
    own = {key: value for key, value in model.state_dict().items() if key.startswith(kept)}
    weights = {key: value for key, value in weights.items() if not key.startswith(kept)} | own
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{path}: checkpoint of another network; give the one it was trained with: network=..."
        ) from error
    described: dict[str, Any] = content[KEY]
    return described


def load_model(path: Path, trust: Sequence[str] = ()) -> MultiTaskPose:
    """The LightningModule of a checkpoint, rebuilt from the configuration that it carries.

    Args:
        trust: packages beside this one that it may be built of: what they hold is run.

    Raises:
        UserError: it is no checkpoint, is damaged, or asks for another package.
    """
    from hmlpe.training.build import build_model, build_tasks

    content = read_checkpoint(path)
    with blame_file(path):
        tree = {"balance": {"name": "fixed", "_target_": FIXED}, **content[KEY]["config"]}
        check([tree.get(part) for part in ModelSettings.model_fields], trust, optimisers=True)
        settings = ModelSettings.of(tree)
        model = build_model(settings, build_tasks(settings, attributes=None), content[KEY].get("made_by"))
        model.load_state_dict(content["state_dict"])
    return model

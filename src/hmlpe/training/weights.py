"""Load a checkpoint: its weights into a given module, or the whole module."""

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
from hmlpe.training.trusted import check_config, naming_file_in_errors

FIXED = "hmlpe.balance.FixedWeights"  # the balance of old checkpoints, made before there were others
HEADS = "network.heads."  # prefix of the names of the heads' weights
BALANCE = "balance."  # prefix of the names of the balance's state


def load_weights(model: MultiTaskPose, path: Path, skeleton: Skeleton, heads: str = "keep") -> dict[str, Any]:
    """Load a checkpoint's weights, including the mean image, into a module. The module keeps its own balance.

    Args:
        model: the module, changed in place.
        path: path of the checkpoint.
        skeleton: the skeleton of the module.
        heads: "keep" loads the heads, too; "renew" leaves the module's own heads, and accepts any skeleton.

    Returns:
        What `MultiTaskPose.on_save_checkpoint` added to the checkpoint: its `config`, `made_by`, and number of `steps`.

    Raises:
        UserError: the file is not a checkpoint, or is one of another skeleton or network.
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
    """Return the LightningModule of a checkpoint, rebuilt from the configuration in the file.

    Args:
        path: path of the checkpoint.
        trust: names of packages beside this one whose classes may be built; their code is executed.

    Raises:
        UserError: the file is not a checkpoint, is damaged, or names a package that is not trusted.
    """
    from hmlpe.training.build import build_model, build_tasks

    content = read_checkpoint(path)
    with naming_file_in_errors(path):
        tree = {"balance": {"name": "fixed", "_target_": FIXED}, **content[KEY]["config"]}
        check_config([tree.get(part) for part in ModelSettings.model_fields], trust, allow_optimisers=True)
        settings = ModelSettings.from_config(tree)
        model = build_model(settings, build_tasks(settings, attributes=None), content[KEY].get("made_by"))
        model.load_state_dict(content["state_dict"])
    return model

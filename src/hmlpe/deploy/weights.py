"""Weights as safetensors, with what rebuilds their network in the same file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hmlpe.deploy.trained import DESIGN, Trained, build_model
from hmlpe.errors import UserError
from hmlpe.predict.onnx_file import KEY, describe, described
from hmlpe.training.trusted import blamed

DESIGN_KEY = "hmlpe.design"
"""Under which the metadata hold the configuration of network and tasks, as JSON."""


def safetensors_bytes(trained: Trained) -> bytes:
    """The file's content: weights by their names in the network, the description and the design."""
    from safetensors.torch import save

    weights = {name: value.contiguous() for name, value in trained.model.network.state_dict().items()}
    design = {key: trained.config[key] for key in DESIGN}
    return save(weights, {KEY: describe(trained.card, trained.model.fires), DESIGN_KEY: json.dumps(design)})


def load_safetensors(path: Path, trust: Sequence[str] = ()) -> Trained:
    """The network of a file of hmlpe-export. Raises UserError if it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a safetensors file ({' '.join(str(error).split())})") from error
    if KEY not in metadata or DESIGN_KEY not in metadata:
        raise UserError(f"{path}: safetensors, but not of hmlpe-export: its metadata have no {KEY!r}")
    card, fires = described(metadata[KEY], path)
    with blamed(path):
        design = json.loads(metadata[DESIGN_KEY])
        return Trained(build_model(design, weights, fires, trust), card, design)

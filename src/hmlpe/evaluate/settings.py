"""The settings of an evaluation; those that cannot work are refused before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.report.published import check_published
from hmlpe.training.validate import validate as validate_shared

PEOPLE = ("whole", "detected")
SPLITS = ("test", "val")
FORMS = {  # choices that are open by default, and their files in conf/
    "predictions_form": ("csv", "buffy", "matrix", "flic_slots", "lsp_joints"),
    "detector": ("cascade", "given", "whole"),
}
FITTING = {"joints": "matrix", "axes": "matrix", "file": "given", "to_window": "given"}  # setting -> whose it is


def people_of(config: DictConfig) -> list[str]:
    """The words of the setting `people`, each once. Raises UserError if one is unknown."""
    words = [config.people] if isinstance(config.people, str) else list(config.people or [])
    if not words or not set(words) <= set(PEOPLE):
        raise UserError(f"people: must be {' or '.join(PEOPLE)}, or a list of both, got {config.people!r}")
    return list(dict.fromkeys(words))


def settings_of(config: DictConfig) -> dict[str, str]:
    """Digests of what the numbers of one table must have in common: settings of each protocol, of labels, intervals."""
    protocols = OmegaConf.to_container(config.protocol, resolve=True)
    assert isinstance(protocols, dict)
    labels = [config.data.sides, config.data.use_occluded, instantiate(config.skeleton).as_dict()]
    intervals = [config.bootstrap.level, "drawn by shots"]
    return {
        **{str(name): digest_of(one) for name, one in protocols.items()},
        "labels": digest_of(labels),
        "intervals": digest_of(intervals),
    }


def validate(config: DictConfig) -> None:
    """Raise UserError, naming the setting, if one cannot work."""
    for name in ("checkpoint", "predictions", "method"):
        value = config[name]
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise UserError(f"{name}: must be a text, or null, got {value!r}; quote it if it is a number")
    if not isinstance(config.out, str) or not config.out.strip():
        raise UserError(f"out: must name a folder, got {config.out!r}")
    if config.overwrite not in (True, False):
        raise UserError(f"overwrite: must be true or false, got {config.overwrite!r}")
    published = config.published
    check_published(OmegaConf.to_container(published, resolve=True) if OmegaConf.is_config(published) else published)
    for group, files in FORMS.items():
        _check_form(config.get(group), group, files)
    if not isinstance(config.bootstrap, DictConfig):
        raise UserError(f"bootstrap: must hold draws, level and seed, got {config.bootstrap!r}")
    validate_shared(config)
    if (config.checkpoint is None) == (config.predictions is None):
        raise UserError("give either checkpoint=PATH, a network, or predictions=FILE, another method's answers")
    if config.predictions is not None and config.get("detector") is not None:
        raise UserError("detector: is for a network; a predictions file brings its own people")
    people_of(config)
    if config.predictions is not None and config.data.subset is not None:
        raise UserError("data.subset: is not for a predictions file, which answers for everyone")
    if config.split not in SPLITS:
        raise UserError(f"split: must be one of {', '.join(SPLITS)}, got {config.split!r}")
    if config.split == "val" and (config.predictions is not None or config.get("detector") is not None):
        raise UserError("split: val is for a network in the pack's boxes alone")
    zoom = config.zoom
    if isinstance(zoom, bool) or not isinstance(zoom, int | float) or not 0.1 <= zoom <= 10:
        raise UserError(f"zoom: must be a number from 0.1 to 10, got {zoom!r}")
    if zoom != 1 and (config.predictions is not None or config.get("detector") is not None):
        raise UserError("zoom: is for a network in the pack's boxes alone")
    if not config.get("protocol"):
        raise UserError("protocol: name at least one, e.g. protocol=[pcp_strict,pcp_official]")
    level = config.bootstrap.level
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise UserError(f"bootstrap.level: must be a share between 0 and 1, got {level!r}")
    _check_confidence(config.confidence)
    whole = {"batch_size": (config.batch_size, 1), "bootstrap.draws": (config.bootstrap.draws, 1)}
    for name, (value, least) in {**whole, "bootstrap.seed": (config.bootstrap.seed, 0)}.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f"{name}: must be a whole number of at least {least}, got {value!r}")
    check_folder(Path(config.out))


def _check_form(value: object, group: str, files: Sequence[str]) -> None:
    """Raise UserError if settings of a choice are given without the choice itself."""
    if value is None or (isinstance(value, DictConfig) and value.get("_target_")):
        return
    given = ", ".join(f"{group}.{key!s}" for key in value) if isinstance(value, DictConfig) else f"{value!r}"
    keys = set(map(str, value)) if isinstance(value, DictConfig) else set()
    fit = next((file for key, file in FITTING.items() if key in keys and file in files), files[0])
    raise UserError(
        f"{group}: {given} without saying of what; say {group}={fit} before it (there are {', '.join(files)})"
    )


def _check_confidence(value: object) -> None:
    """Raise UserError unless it is null, or groups of joints and a threshold."""
    if value is None:
        return
    if not isinstance(value, DictConfig) or "at" not in value or "groups" not in value:
        raise UserError(f"confidence: must hold at and groups, or be null, got {value!r}")
    at, groups = value["at"], value["groups"]
    if isinstance(at, bool) or not isinstance(at, int | float) or not at > 0:
        raise UserError(f"confidence.at: must be a number above 0, got {at!r}")
    if groups is not None and not (
        isinstance(groups, DictConfig) and all(isinstance(joints, ListConfig) for joints in groups.values())
    ):
        raise UserError(f"confidence.groups: must be lists of joints by name, or null, got {groups!r}")


def check_folder(folder: Path) -> None:
    """Raise UserError unless files can be written into the folder; it is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"out: {folder} cannot be written to ({error.strerror})") from error

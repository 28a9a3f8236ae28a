"""Which sets a data configuration means: one, or those of a list that are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from hmlpe.data.boxes import BoxRule
from hmlpe.data.record import Attribute
from hmlpe.data.selection import DataSet, set_names
from hmlpe.data.sources.attributes import carried
from hmlpe.errors import UserError


def sets_of(data: DictConfig) -> tuple[list[DataSet], list[str]]:
    """The sets to prepare, and the names of known sets that are not among them.

    A configuration of one set has `source` and `boxes`; one of several has them under `known.<name>`, and each lies in
    its own `root`, or else in the subfolder of `root` that has its name.

    Raises:
        UserError: an unknown name, a chosen set that is not there, or none at all.
    """
    if "known" not in data:
        return [DataSet(instantiate(data.source), instantiate(data.boxes))], []
    found = []
    for name in _chosen(data):
        member, given = data.known[name], {}
        if "root" in member.source and member.source.root is None:
            if data.root is None:
                raise UserError(f"data.root: is not set; it must name the folder that holds {_folders(data)}")
            folder = Path(str(data.root)).expanduser() / name
            if not folder.is_dir() and data.sets is None:
                continue
            given = {"root": str(folder)}
        if "name" in member.source:  # a set of the user's own is called what it is known as
            given["name"] = name
        source = instantiate(member.source, **given)
        if source.name != name:
            raise UserError(f"data.known.{name}: its source calls itself {source.name!r}; both must have one name")
        found.append(DataSet(source, instantiate(member.boxes)))
    if not found:
        raise UserError(f"data.root: {data.root} holds none of {_folders(data)}")
    return found, [name for name in data.known if name not in {one.source.name for one in found}]


def box_rules(data: DictConfig, names: list[str]) -> Mapping[str, dict[str, Any]]:
    """The configured box rules of those of the named sets that are configured, without touching the sets."""
    if "known" not in data:
        return {name: _rule(data.boxes) for name in names}
    return {name: _rule(data.known[name].boxes) for name in _chosen(data) if name in names}


def configured_attributes(data: DictConfig, names: list[str]) -> Mapping[str, tuple[Attribute, ...]]:
    """The attributes of those of the named sets whose configuration says them, without touching the sets."""
    if "known" not in data:
        found = dict.fromkeys(names, data.source)
    else:
        found = {name: data.known[name].source for name in _chosen(data) if name in names}
    return {
        name: tuple(one.attribute for one in carried(source.attributes))
        for name, source in found.items()
        if "attributes" in source
    }


def _rule(boxes: DictConfig) -> dict[str, Any]:
    rule: BoxRule = instantiate(boxes)
    return rule.as_dict()


def _chosen(data: DictConfig) -> list[str]:
    if data.sets is None:
        return [str(name) for name in data.known]
    names = set_names(data.sets, "data.sets")
    unknown = [name for name in names if name not in data.known]
    if unknown:
        raise UserError(f"data.sets: no set {unknown[0]!r}; there are {', '.join(data.known)}")
    return names


def _folders(data: DictConfig) -> str:
    return ", ".join(f"{name}/" for name in _chosen(data))

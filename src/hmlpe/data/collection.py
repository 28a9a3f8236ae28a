"""Build the data sets that a configuration selects: a single one, or those of a list that are on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hmlpe.data.boxes import BoxRule
from hmlpe.data.record import Attribute
from hmlpe.data.selection import DataSet, parse_set_names
from hmlpe.data.sources.attributes import parse_attributes
from hmlpe.errors import UserError
from hmlpe.settings import DataSettings, SingleSetSettings, build_component


def build_data_sets(data: DataSettings) -> tuple[list[DataSet], list[str]]:
    """Build the data sets that the configuration selects, e.g. for `hmlpe-prepare`.

    The settings of a single set have `source` and `boxes`. If there are several sets, each has its `source` and `boxes`
    under `known.<name>`, and lies in the folder `source.root`, or else in the subfolder <name> of the common `root`.

    Returns:
        The selected data sets, and the names under `known` that are not selected or not on disk.

    Raises:
        UserError: a selected name is not under `known`, a selected set is not on disk, or no set is on disk at all.
    """
    if data.known is None:
        one = _settings_of_single_set(data)
        return [DataSet(build_component("data.source", one.source), build_component("data.boxes", one.boxes))], []
    found = []
    for name, member in _chosen_sets(data).items():
        given = {}
        if "root" in member.source and member.source["root"] is None:
            if data.root is None:
                raise UserError(f"data.root: is not set; it must name the folder that holds {_folder_names(data)}")
            folder = Path(str(data.root)).expanduser() / name
            if not folder.is_dir() and data.sets is None:
                continue
            given = {"root": str(folder)}
        if "name" in member.source:  # a set of the user's own takes the name that it has under `known`
            given["name"] = name
        with _correct_setting_names(data, name):
            source = build_component(f"data.known.{name}.source", member.source, **given)
            boxes = build_component(f"data.known.{name}.boxes", member.boxes)
        if source.name != name:
            raise UserError(f"data.known.{name}: its source calls itself {source.name!r}; both names must be the same")
        found.append(DataSet(source, boxes))
    if not found:
        raise UserError(f"data.root: {data.root} holds none of {_folder_names(data)}")
    return found, [name for name in data.known if name not in {one.source.name for one in found}]


def box_rules(data: DataSettings, names: list[str]) -> Mapping[str, dict[str, Any]]:
    """Return set name -> its configured box rule as a dictionary (`BoxRule.as_dict`), without reading the sets.

    Sets without settings are left out.
    """
    found = {}
    for name, member in _settings_of_sets(data, names).items():
        with _correct_setting_names(data, name):
            rule: BoxRule = build_component("data.boxes", member.boxes)
        found[name] = rule.as_dict()
    return found


def configured_attributes(data: DataSettings, names: list[str]) -> Mapping[str, tuple[Attribute, ...]]:
    """Return set name -> the attributes that its settings declare, without reading the sets.

    Sets whose settings declare none are left out.
    """
    found = {}
    for name, member in _settings_of_sets(data, names).items():
        if "attributes" in member.source:
            with _correct_setting_names(data, name):
                found[name] = tuple(one.attribute for one in parse_attributes(member.source["attributes"]))
    return found


def _settings_of_sets(data: DataSettings, names: list[str]) -> dict[str, SingleSetSettings]:
    """Return set name -> settings, without unknown names; one single set's settings go to every name."""
    if data.known is None:
        return dict.fromkeys(names, _settings_of_single_set(data))
    return {name: member for name, member in _chosen_sets(data).items() if name in names}


def _settings_of_single_set(data: DataSettings) -> SingleSetSettings:
    """Return the settings of the only configured set, whose `source` and `boxes` lie directly under `data`."""
    return SingleSetSettings.from_config(
        {key: value for key in ("source", "boxes") if (value := getattr(data, key))}, "data"
    )


@contextmanager
def _correct_setting_names(data: DataSettings, name: str) -> Iterator[None]:
    """Replace data.source and data.boxes in UserErrors by the settings' full names under data.known.<name>.

    Sources and box rules do not know whether their set is one of several, whose settings have other names.
    """
    try:
        yield
    except UserError as error:
        if data.known is None:
            raise
        raise UserError(re.sub(r"\bdata\.(?=source\b|boxes\b)", f"data.known.{name}.", str(error))) from error


def _chosen_sets(data: DataSettings) -> dict[str, SingleSetSettings]:
    """Return name -> settings of the sets in `data.sets`; all sets if it is None. Raises UserError at unknown names."""
    known = data.known or {}
    if data.sets is None:
        return known
    names = parse_set_names(data.sets, "data.sets")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"data.sets: no set {unknown[0]!r}; there are {', '.join(known)}")
    return {name: known[name] for name in names}


def _folder_names(data: DataSettings) -> str:
    """Return the folder names of the chosen sets as one text, for messages."""
    return ", ".join(f"{name}/" for name in _chosen_sets(data))

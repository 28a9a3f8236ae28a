"""The folder of an inspection: names, writer and reader of `inspection.json`, the tables and the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.stats import spearmanr

from hmlpe.checked import first_problem
from hmlpe.errors import UserError
from hmlpe.files import read_json, write_bytes_atomic, write_json_atomic, write_text_atomic
from hmlpe.inside.inspection import Inspection, LayerResults
from hmlpe.inside.selectivity import SIGNIFICANCE, Selectivity

VERSION = 1
FOLDER, RECORD = "inspected", "inspection.json"  # the inspection's folder in a run's folder, and the record in it
MAPS, LANDMARKS = "maps.csv", "landmarks.csv"
COLUMNS = {  # the columns of maps.csv that a page shows, with their types
    "layer": str,
    "joint": str,
    **dict.fromkeys(("map", "joint_index", "joint_index_p", "joint_hits", "joint_chance"), float),
}


class LayerRecord(BaseModel):
    """The numbers of one inspected layer.

    Attributes:
        name: name of the layer.
        extent_px, stride_px, start_px: the receptive fields of its units, (down, across).
        maps: number of maps.
        people: number of people whose patches are averaged.
        selective: number of maps that prefer a joint beyond chance (corrected p of the index < 0.05).
        index: mean selectivity index of the maps for joints.
        bits: mean over maps of how many more bits a unit's response tells of a part in its window than of another
            person's part, of which only places tell; of each map, for the part where that is most.
        used: Spearman's correlation, over maps, of the index and the growth of the joint error without the map.
    """

    model_config = ConfigDict(strict=True)

    name: str
    extent_px: list[int]
    stride_px: list[int]
    start_px: list[int]
    maps: int
    people: int
    selective: int
    index: float
    bits: float | None
    used: float | None


class Picture(BaseModel):
    """A picture in the folder: its file, its title, what it shows, and whether people are recognisable in it."""

    model_config = ConfigDict(strict=True)

    file: str
    title: str
    words: str
    people: bool = False


class Record(BaseModel):
    """The record of an inspection: the network, the people it was shown, and the results.

    Attributes:
        version: version of the file format.
        network: study/row_s<seed>, or what the caller says.
        checkpoint: name of the checkpoint file.
        dataset, data: name and digest of the pack whose people were shown.
        balance: name of the balance; with "fixed", the losses' weights are those in `weights`.
        row: name of the row.
        weights: the row's weights, by task.
        seed: seed of the run.
        made_by: digests of the run's code, configuration and data.
        train, test: numbers of training and test people.
        near_px: the distance within which a response counts as near a joint.
        joints, parts: names of the skeleton's joints and parts.
        layers: the numbers of each layer.
        pictures: the pictures in the folder.
    """

    model_config = ConfigDict(strict=True)

    version: int
    network: str
    checkpoint: str
    dataset: str
    balance: str
    row: str
    weights: dict[str, float]
    seed: int
    made_by: dict[str, str]
    data: str
    train: int
    test: int
    near_px: float
    joints: list[str]
    parts: list[str]
    layers: list[LayerRecord]
    pictures: list[Picture]


def layer_records(inspection: Inspection) -> list[LayerRecord]:
    """Return the numbers of each inspected layer that inspection.json holds."""
    records = []
    for name, layer in inspection.layers.items():
        where = inspection.network.fields[name]
        beyond = None if layer.bits is None or layer.bits_null is None else (layer.bits - layer.bits_null).max(axis=1)
        records.append(
            LayerRecord(
                name=name,
                extent_px=list(where.extent),
                stride_px=list(where.stride),
                start_px=list(where.start),
                maps=len(layer.joints.index),
                people=layer.average.people,
                selective=int((layer.joints.index_p < SIGNIFICANCE).sum()),
                index=round(float(layer.joints.index.mean()), 4),
                bits=None if beyond is None else round(float(beyond.mean()), 4),
                used=_index_cost_correlation(layer),
            )
        )
    return records


def _index_cost_correlation(layer: LayerResults) -> float | None:
    """Return Spearman's correlation, over a layer's maps, of selectivity index and removal cost; None if undefined."""
    if layer.removal is None or not layer.removal.joints_px.shape[1]:
        return None
    index, growth = layer.joints.index, np.nanmean(layer.removal.joints_px, axis=1)
    if min(len(np.unique(index)), len(np.unique(growth))) < 2:
        return None
    return round(float(spearmanr(index, growth).statistic), 4)


def maps_table(inspection: Inspection) -> pd.DataFrame:
    """Return a table with one line per map of each layer, as in maps.csv.

    A line has what the map prefers and by how much, the information it gives, and how much errors increase without it.
    """
    joints, parts = inspection.skeleton.joints, list(inspection.skeleton.parts)
    return pd.DataFrame(
        [line for name, layer in inspection.layers.items() for line in _map_lines(name, layer, joints, parts)]
    )


def _map_lines(name: str, layer: LayerResults, joints: tuple[str, ...], parts: list[str]) -> list[dict[str, Any]]:
    """Return the lines of `maps_table` for one layer, as dicts by column."""
    lines = []
    contrast = layer.average.contrast
    for number in range(len(layer.joints.index)):
        line: dict[str, Any] = {"layer": name, "map": number, "contrast": contrast[number]}
        for kind, found, names in (("joint", layer.joints, joints), ("part", layer.parts, parts)):
            if found is None:
                continue
            best = found.best[number]
            line |= {
                kind: names[best],
                f"{kind}_index": found.index[number],
                f"{kind}_hits": found.hits[number, best],
                f"{kind}_chance": found.chance[number, best],
                f"{kind}_p": found.p[number, best],
                f"{kind}_index_p": found.index_p[number],
            }
        if layer.bits is not None and layer.bits_null is not None:
            beyond = layer.bits[number] - layer.bits_null[number]
            line |= {"informs_of": parts[beyond.argmax()], "bits": layer.bits[number, beyond.argmax()]}
            line |= {"bits_by_place": layer.bits_null[number, beyond.argmax()]}
        if layer.removal is not None and layer.removal.joints_px.shape[1]:
            growth = layer.removal.joints_px[number]
            line |= {"joint_error_growth_px": np.nanmean(growth), "costs_most_joint": joints[int(np.nanargmax(growth))]}
        if layer.removal is not None and layer.removal.parts.shape[1]:
            growth = layer.removal.parts[number]
            line |= {"detection_growth": np.nanmean(growth), "costs_most_part": parts[int(np.nanargmax(growth))]}
        lines.append(line)
    return lines


def landmarks_table(inspection: Inspection) -> pd.DataFrame:
    """Return a table with one line for each pair of map and joint, or map and part, as in landmarks.csv.

    `maps_table` shows only the landmark that each map prefers.
    """
    lines = []
    for name, layer in inspection.layers.items():
        kinds: list[tuple[str, Selectivity, tuple[str, ...], np.ndarray | None]] = [
            ("joint", layer.joints, inspection.skeleton.joints, None)
        ]
        if layer.parts is not None:
            kinds.append(("part", layer.parts, tuple(inspection.skeleton.parts), layer.bits))
        for kind, one, names, bits in kinds:
            growth = (
                None if layer.removal is None else layer.removal.joints_px if kind == "joint" else layer.removal.parts
            )
            for number, at in np.ndindex(one.hits.shape):
                line: dict[str, Any] = {
                    "layer": name,
                    "map": number,
                    "kind": kind,
                    "name": names[at],
                    "people": one.people[at],
                    "hits": one.hits[number, at],
                    "chance": one.chance[number, at],
                    "z": one.z[number, at],
                    "offset_x_px": one.offset_px[number, at, 0],
                    "offset_y_px": one.offset_px[number, at, 1],
                    "p": one.p[number, at],
                }
                if bits is not None and layer.bits_null is not None:
                    line |= {"bits": bits[number, at], "bits_by_place": layer.bits_null[number, at]}
                if growth is not None and growth.shape[1]:
                    line["growth_without"] = growth[number, at]
                lines.append(line)
    return pd.DataFrame(lines)


def write_record(
    folder: Path, record: Record, tables: Mapping[str, pd.DataFrame], pictures: Mapping[str, bytes], page_html: str
) -> list[Path]:
    """Write an inspection's folder, and return the paths of the files.

    The record is written last, so that a folder with a record is complete.

    Args:
        folder: the folder, which is created; pictures of an earlier inspection in it are removed.
        record: the record of the inspection.
        tables: the tables to write as CSV, by file name.
        pictures: contents of the picture files, by file name.
        page_html: the page of `page.build_page`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).unlink(missing_ok=True)
    for before in folder.glob("*.png"):  # pictures of an earlier call; they may show people
        before.unlink()
    for name, content in pictures.items():
        write_bytes_atomic(folder / name, content)
    for name, table in tables.items():
        write_text_atomic(folder / name, table.to_csv(index=False, float_format="%.5g", lineterminator="\n"))
    write_text_atomic(folder / "inspection.html", page_html)
    write_json_atomic(folder / RECORD, record.model_dump(mode="json"))
    return [folder / name for name in (*pictures, *tables, "inspection.html", RECORD)]


def read_record(folder: Path) -> tuple[Record, pd.DataFrame] | None:
    """Read an inspection's record and its table of `maps_table` from its folder; None if there is no inspection.

    Raises:
        UserError: the inspection is broken, or of another version.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    given = read_json(path)
    if isinstance(given, dict) and given.get("version") != VERSION:
        raise UserError(f"{path}: is version {given.get('version')}, this hmlpe reads {VERSION}; inspect again")
    try:
        return Record.model_validate(given), pd.read_csv(folder / MAPS, dtype=COLUMNS, keep_default_na=True)
    except ValidationError as error:
        wrong = first_problem(error, Record, given).message_for_file()
        raise UserError(f"{path}: is not an inspection ({wrong}); inspect again") from error
    except (OSError, ValueError) as error:  # no such columns, no numbers, no UTF-8
        raise UserError(f"{folder / MAPS}: cannot be read ({' '.join(str(error).split())}); inspect again") from error

"""W&B's files read back, by W&B's own reader."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2
from wandb.sdk.internal.datastore import DataStore


def records(path: Path) -> dict[str, list[Any]]:
    """The records of a .wandb file by their kind, in order."""
    found: dict[str, list[Any]] = defaultdict(list)
    store = DataStore()
    store.open_for_scan(str(path))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        found[kind].append(getattr(record, kind))
    store.close()
    return found


def ended(path: Path, patience_s: float = 30.0) -> dict[str, list[Any]]:
    """The records of a run that has been finished: W&B's service may still be writing them when the call returns."""
    deadline = time.monotonic() + patience_s
    while not (found := records(path))["exit"] and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def values(items: Any) -> dict[str, Any]:
    """Name -> value of a record's items; a value that W&B wrote in parts, a dictionary, is put together."""
    found: dict[str, Any] = {}
    for item in items:
        name, *parts = item.nested_key or [item.key]
        place, key = found, name
        for part in parts:
            place, key = place.setdefault(key, {}), part
        place[key] = json.loads(item.value_json)
    return found


def only(run: Path) -> Path:
    """The one .wandb file of a run's folder."""
    (path,) = run.glob("wandb/offline-run-*/*.wandb")
    return path

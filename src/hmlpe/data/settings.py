"""The settings of the data, `data.*`: one set, or those of a list."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hmlpe.settings import Component, Count, Name, Settings, Text, Whole

Sets = Annotated[str | list[str] | None, Field(description="a list of sets, e.g. [flic,buffy], or null")]


class ValidationSettings(Settings, extra="forbid"):
    """How the people who validate are chosen."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Whole


class SetSettings(Settings):
    """One of several known sets."""

    source: Component
    boxes: Component


class DataSettings(Settings):
    """As in conf/data/shared/base.yaml, which explains them. One set has `source` and `boxes`, several have `known`."""

    name: Name
    pack: Text
    crop_px: Count
    near_duplicates: Annotated[int, Field(ge=0, le=63)] | None
    keep_neighbours: bool
    allow_missing: bool
    sides: Literal["image", "person"]
    use_occluded: bool
    train_sets: Sets
    test_sets: Sets
    balanced: bool
    subset: Count | None
    validation: ValidationSettings
    source: Component | None = None
    boxes: Component | None = None
    known: dict[str, SetSettings] | None = None
    root: Any = None  # a folder may be called by a number
    sets: Sets = None

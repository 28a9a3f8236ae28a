"""The settings of an inspection."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from hmlpe.data.settings import DataSettings
from hmlpe.errors import UserError
from hmlpe.settings import Component, Count, Name, Settings, Text, Whole


class PathSettings(Settings):
    """Where files lie."""

    data: Name
    outputs: Name


class InspectSettings(Settings, extra="forbid"):
    """As in conf/inspect.yaml, which explains them."""

    paths: PathSettings
    skeleton: Component
    data: DataSettings | None = None
    checkpoint: Text | None = None
    study: Text | None = None
    layers: Annotated[list[str] | None, Field(description="a list of layers, e.g. [conv2], or null")] = None
    people: Count | None = None
    persons: Annotated[Whole | list[Whole], Field(description="how many, or a list of numbers of test people")] = 3
    patches: Count = 8
    mosaic: Whole = 0
    near: Annotated[float, Field(ge=0.02, lt=1)] = 0.1  # memory grows with its inverse's square
    draws: Annotated[int, Field(ge=19)] = 200  # fewer, and no p is below 0.05
    removal: bool = True
    out: Text | None = None
    progress: bool = True
    threads: Count | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    trust: Annotated[list[str], Field(description="a list of packages' names")] = Field(default_factory=list)

    def check_all(self) -> None:
        """Raise UserError unless there is one source of networks, and the device."""
        if (self.checkpoint is None) == (self.study is None):
            raise UserError("give either checkpoint=PATH, one network, or study=NAME, all finished runs of a study")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device: there is no GPU here that torch can use; set device=cpu")

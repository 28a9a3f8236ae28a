"""The settings of an evaluation; invalid ones are rejected before any data are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, Literal

from pydantic import Field

from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.report.published import check_published
from hmlpe.settings import Component, Name, NonNegativeInt, PositiveInt, Settings, Text, build_component
from hmlpe.training.settings import TrainSettings

OPTIONAL_GROUPS = {  # the config groups from which nothing is chosen by default, and their files in conf/
    "predictions_form": ("csv", "buffy", "matrix", "flic_slots", "lsp_joints"),
    "detector": ("cascade", "given", "whole"),
}
FILE_OF_SETTING = {"joints": "matrix", "axes": "matrix", "file": "given", "to_window": "given"}  # the file that has it
People = Literal["whole", "detected"]


class BootstrapSettings(Settings):
    """The settings of the bootstrap that gives the intervals (see `Bootstrap`)."""

    draws: PositiveInt
    level: Annotated[float, Field(gt=0, lt=1)]
    seed: NonNegativeInt


class ConfidenceSettings(Settings, extra="forbid"):
    """The groups of joints for which the ranking by confidence is measured, and the largest error that is a hit."""

    at: Annotated[float, Field(gt=0)]
    groups: Annotated[dict[str, list[str]] | None, Field(description="lists of joints by name, or null")]


class EvaluateSettings(TrainSettings):
    """The settings of an evaluation, as in conf/evaluate.yaml, which explains them."""

    checkpoint: Text | None
    predictions: Text | None
    method: Text | None
    people: Annotated[People | list[People], Field(min_length=1, description="whole or detected, or a list of both")]
    split: Literal["test", "val"]
    zoom: Annotated[float, Field(ge=0.1, le=10)]
    trust: Any  # checked by `predict.open.parse_trust`
    fires: Any  # checked by `predict.model.check_fires`
    bootstrap: BootstrapSettings
    confidence: ConfidenceSettings | None
    protocol: dict[str, Component] = Field(default_factory=dict)  # protocol=[] leaves this group out altogether
    published: Any  # checked by `check_published`
    detector: Any = None
    detector_name: Name | None = None  # the name of the chosen config file, for tables; null: the class's name is shown
    predictions_form: Any = None
    out: Text
    batch_size: PositiveInt

    def check_all(self) -> None:
        """Raise UserError, naming the setting, if settings do not fit each other."""
        check_published(self.published)
        if not self.protocol:
            raise UserError("protocol: is empty; name at least one, e.g. protocol=[pcp_strict,pdj_modec]")
        for group, files in OPTIONAL_GROUPS.items():
            _check_group_chosen(getattr(self, group), group, files)
        super().check_all()
        if (self.checkpoint is None) == (self.predictions is None):
            raise UserError("give either checkpoint=PATH, a network, or predictions=FILE, another method's answers")
        if self.predictions is not None and self.detector is not None:
            raise UserError("detector: is for a network; a predictions file brings its own people")
        if self.predictions is not None and self.data.subset is not None:
            raise UserError("data.subset: is not for a predictions file, which answers for everyone")
        elsewhere = self.predictions is not None or self.detector is not None
        if self.split == "val" and elsewhere:
            raise UserError("split: val is only for a network in the pack's boxes")
        if self.zoom != 1 and elsewhere:
            raise UserError("zoom: is only for a network in the pack's boxes")

    @property
    def chosen_people(self) -> list[str]:
        """Return the values of the setting `people` as a list, each once."""
        return list(dict.fromkeys([self.people] if isinstance(self.people, str) else self.people))


def shared_settings_digests(settings: EvaluateSettings) -> dict[str, str]:
    """Return digests of the settings that all records of one table must share.

    These are the settings of each protocol, of the labels, and of the intervals.
    """
    data = settings.data
    labels = [data.sides, data.use_occluded, build_component("skeleton", settings.skeleton).as_dict()]
    intervals = [settings.bootstrap.level, "drawn by shots"]
    return {
        **{name: digest_of(one) for name, one in settings.protocol.items()},
        "labels": digest_of(labels),
        "intervals": digest_of(intervals),
    }


def _check_group_chosen(value: object, group: str, files: Sequence[str]) -> None:
    """Raise UserError if settings of a config group are given although no file of the group is chosen."""
    values = value if isinstance(value, dict) else {}
    if value is None or values.get("_target_"):
        return
    given = ", ".join(f"{group}.{key!s}" for key in values) or f"{value!r}"
    fit = next((file for key, file in FILE_OF_SETTING.items() if key in values and file in files), files[0])
    raise UserError(
        f"{group}: {given} is given, but no {group}; put {group}={fit} before it (there are {', '.join(files)})"
    )


def create_writable_folder(folder: Path) -> None:
    """Create the folder unless it exists. Raises UserError if files cannot be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"out: {folder} cannot be written to ({error.strerror})") from error

"""The settings of an evaluation; those that cannot work are refused before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, Literal

from pydantic import Field

from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.report.published import check_published
from hmlpe.settings import Component, Name, NonNegativeInt, PositiveInt, Settings, Text, make
from hmlpe.training.settings import TrainSettings

FORMS = {  # choices that are open by default, and their files in conf/
    "predictions_form": ("csv", "buffy", "matrix", "flic_slots", "lsp_joints"),
    "detector": ("cascade", "given", "whole"),
}
FITTING = {"joints": "matrix", "axes": "matrix", "file": "given", "to_window": "given"}  # setting -> whose it is
People = Literal["whole", "detected"]


class BootstrapSettings(Settings):
    """The draws of people that intervals are made of."""

    draws: PositiveInt
    level: Annotated[float, Field(gt=0, lt=1)]
    seed: NonNegativeInt


class ConfidenceSettings(Settings, extra="forbid"):
    """Of which joints the confidence is ranked against errors, and which error is a miss."""

    at: Annotated[float, Field(gt=0)]
    groups: Annotated[dict[str, list[str]] | None, Field(description="lists of joints by name, or null")]


class EvaluateSettings(TrainSettings):
    """As in conf/evaluate.yaml, which explains them."""

    predictions: Text | None
    method: Text | None
    people: Annotated[People | list[People], Field(min_length=1, description="whole or detected, or a list of both")]
    split: Literal["test", "val"]
    zoom: Annotated[float, Field(ge=0.1, le=10)]
    trust: Any  # `predict.open.trusted` says what it may be
    fires: Any  # and `deploy.model.check_fires`
    bootstrap: BootstrapSettings
    confidence: ConfidenceSettings | None
    protocol: dict[str, Component] = Field(default_factory=dict)  # an empty list leaves no such group
    published: Any  # see `check_published`
    detector: Any = None
    detector_name: Name | None = None  # of its configuration, as tables show it; null: its class
    predictions_form: Any = None
    out: Text
    batch_size: PositiveInt

    def check_all(self) -> None:
        """Raise UserError, naming the setting, if some do not fit each other."""
        check_published(self.published)
        if not self.protocol:
            raise UserError("protocol: is empty; name at least one, e.g. protocol=[pcp_strict,pdj_modec]")
        for group, files in FORMS.items():
            _check_form(getattr(self, group), group, files)
        super().check_all()
        if (self.checkpoint is None) == (self.predictions is None):
            raise UserError("give either checkpoint=PATH, a network, or predictions=FILE, another method's answers")
        if self.predictions is not None and self.detector is not None:
            raise UserError("detector: is for a network; a predictions file brings its own people")
        if self.predictions is not None and self.data.subset is not None:
            raise UserError("data.subset: is not for a predictions file, which answers for everyone")
        elsewhere = self.predictions is not None or self.detector is not None
        if self.split == "val" and elsewhere:
            raise UserError("split: val is for a network in the pack's boxes alone")
        if self.zoom != 1 and elsewhere:
            raise UserError("zoom: is for a network in the pack's boxes alone")

    @property
    def chosen_people(self) -> list[str]:
        """The words of `people`, each once."""
        return list(dict.fromkeys([self.people] if isinstance(self.people, str) else self.people))


def settings_of(settings: EvaluateSettings) -> dict[str, str]:
    """Digests of what the numbers of one table must have in common: settings of each protocol, of labels, intervals."""
    data = settings.data
    labels = [data.sides, data.use_occluded, make("skeleton", settings.skeleton).as_dict()]
    intervals = [settings.bootstrap.level, "drawn by shots"]
    return {
        **{name: digest_of(one) for name, one in settings.protocol.items()},
        "labels": digest_of(labels),
        "intervals": digest_of(intervals),
    }


def _check_form(value: object, group: str, files: Sequence[str]) -> None:
    """Raise UserError if settings of a choice are given without the choice itself."""
    values = value if isinstance(value, dict) else {}
    if value is None or values.get("_target_"):
        return
    given = ", ".join(f"{group}.{key!s}" for key in values) or f"{value!r}"
    fit = next((file for key, file in FITTING.items() if key in values and file in files), files[0])
    raise UserError(
        f"{group}: {given} without saying of what; say {group}={fit} before it (there are {', '.join(files)})"
    )


def check_folder(folder: Path) -> None:
    """Raise UserError unless files can be written into the folder; it is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"out: {folder} cannot be written to ({error.strerror})") from error

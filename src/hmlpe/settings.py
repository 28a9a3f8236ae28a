"""What the settings of all programs share: a configuration that pydantic checks, and objects built from it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import Parameter, signature
from pkgutil import resolve_name
from typing import Annotated, Any, Literal, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import PydanticCustomError

from hmlpe.checked import MISSING, first_problem
from hmlpe.errors import UserError

T = TypeVar("T", bound="Settings")
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(ge=1)]
SetNames = Annotated[str | list[str] | None, Field(description="a list of sets, e.g. [flic,buffy], or null")]


def _require_target(node: dict[str, Any]) -> dict[str, Any]:
    """Return the settings unchanged. Raises a validation error if they have no `_target_`."""
    if not isinstance(node.get("_target_"), str):
        raise PydanticCustomError("no_target", "no _target_")
    return node


def _require_given(value: Any) -> Any:
    """Return the value unchanged. Raises a validation error if it is `???`, by which Hydra marks a missing value."""
    if value == MISSING:
        raise PydanticCustomError("missing", "missing")
    return value


def _require_text(text: str) -> str:
    """Return the text unchanged. Raises a validation error if it is blank."""
    if not text.strip():
        raise PydanticCustomError("empty", "empty")
    return text


Component = Annotated[
    dict[str, Any], AfterValidator(_require_target), Field(description="settings of an object, with its _target_")
]
"""The settings that `build_component` builds an object from."""
Text = Annotated[str, AfterValidator(_require_text), AfterValidator(_require_given)]
Name = Annotated[str | int | float, AfterValidator(_require_given), Field(description="a name")]
"""A number is accepted as well, as Hydra parses row.name=7 as a number."""


class Settings(BaseModel):
    """The settings of a program, or a part of them.

    Attributes:
        tree: a copy of the whole configuration that `from_config` validated, as dicts and lists; it also holds what is
            not a field of the class.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    _tree: dict[str, Any] | None = PrivateAttr(None)

    @classmethod
    def from_config(cls: type[T], config: object, name: str = "") -> T:
        """Validate a configuration and return its settings.

        Args:
            config: as Hydra composes it, or in plain containers.
            name: the name of this part among a program's settings; "" if these are all of them.

        Raises:
            UserError: a setting is not valid; one line names the setting, what it must be, and what was given.
        """
        tree = to_plain_containers(config)
        try:
            found = cls.model_validate(tree)
        except ValidationError as error:
            raise UserError(first_problem(error, cls, tree, name).message_for_settings()) from None
        found._tree = tree
        found.check_all()
        return found

    @property
    def tree(self) -> dict[str, Any]:
        """Return a copy of the configuration that these settings were made from.

        Raises:
            AttributeError: these settings are a field of other settings; take the part from the tree of those.
        """
        if self._tree is None:
            raise AttributeError(f"{type(self).__name__}: a part has no tree of its own; take it out of the whole's")
        return copy.deepcopy(self._tree)

    def check_all(self) -> None:
        """Raise UserError if settings contradict each other. Programs' settings override this."""


def to_plain_containers(config: Any) -> Any:
    """Convert an OmegaConf configuration to dicts and lists, with interpolations resolved, without its node `hydra`.

    Raises:
        UserError: a setting that others refer to is not given.
    """
    if isinstance(config, DictConfig) and "hydra" in config:
        config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        found = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig | ListConfig) else config
    except InterpolationToMissingValueError as error:
        named = re.search(r"Missing mandatory value: (\S+)", str(error))
        raise UserError(
            f"{named[1] if named else error.full_key}: is not given, but other settings depend on it"
        ) from error
    return {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else found


def build_component(name: str, node: Mapping[str, Any], **given: Any) -> Any:
    """Instantiate the object that a component's settings describe, by `hydra.utils.instantiate`.

    Args:
        name: name of the component among the settings, for error messages.
        node: the settings: `_target_` and arguments of the constructor.
        given: further arguments of the constructor.

    Returns:
        The object. For a component with `_partial_`, a function, whose call raises UserError as well.

    Raises:
        UserError: a setting is not given, unknown, or not accepted by the constructor.
    """
    for setting in missing_settings(name, {key: value for key, value in node.items() if key not in given}):
        raise UserError(f"{setting}: is not given")
    for line in unknown_settings(name, node):
        raise UserError(line)
    try:
        made = instantiate(dict(node), **given)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from error
        what, _, key = str(error).partition("full_key: ")
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        what = what.replace(", set env var HYDRA_FULL_ERROR=1 to see chained exception.", f": {cause}")
        raise UserError(f"{'.'.join(filter(None, (name, key.strip())))}: {' '.join(what.split())}") from error
    return partial(_call_component, name, made) if node.get("_partial_") else made


def _call_component(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call the function of a component with `_partial_`, and turn errors about its arguments into UserError."""
    try:
        return function(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: {' '.join(str(error).split())}") from error


def missing_settings(name: str, value: Any) -> Iterator[str]:
    """Yield the names of all settings at or below this one that are not given (`???`)."""
    if value == MISSING:
        yield name
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from missing_settings(f"{name}.{key}", child)


def unknown_settings(name: str, node: object) -> Iterator[str]:
    """Yield one line for each setting of a component, or of a component below it, that its constructor does not accept.

    Args:
        name: name of the component among the settings.
        node: `_target_` and the settings. Any setting is accepted without a `_target_`, or where the target does not
            declare its parameters.
    """
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from unknown_settings(f"{name}.{place}", item)
    if not isinstance(node, Mapping):
        return
    known = target_parameters(node.get("_target_"))
    for key, value in node.items():
        if known is not None and key not in known and not is_hydra_key(key):
            yield f"{name}.{key}: there is no such setting; there are {', '.join(known)}"
        yield from unknown_settings(f"{name}.{key}", value)


def target_parameters(target: object) -> dict[str, Parameter] | None:
    """Return the parameters, by name, of the class or function that a `_target_` names.

    None if it accepts any (`**kwargs`), or cannot be inspected.
    """
    try:
        found = signature(resolve_name(str(target))).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return None
    kinds = {one.kind for one in found.values()}
    by_name = {name: one for name, one in found.items() if one.kind is not Parameter.POSITIONAL_ONLY}
    return None if kinds & {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL} else by_name


def is_hydra_key(key: object) -> bool:
    """Return whether the key is one of Hydra's own settings of a component, such as `_target_`."""
    return re.fullmatch("_.*_", str(key)) is not None


class PathSettings(Settings, extra="forbid"):
    """The folders that all programs share, as in conf/paths/default.yaml."""

    data: Name
    outputs: Name


class ValidationSettings(Settings, extra="forbid"):
    """The settings of the choice of validation people among the training people."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: NonNegativeInt


class SingleSetSettings(Settings):
    """The settings of one data set: where its people come from, and how the boxes around them are made."""

    source: Component
    boxes: Component


class DataSettings(Settings):
    """The settings of the data, explained in conf/data/shared/base.yaml.

    A single data set is described by `source` and `boxes`; several are described by `known`, each under its name.
    """

    name: Name
    pack: Text
    crop_px: PositiveInt
    near_duplicates: Annotated[int, Field(ge=0, le=63)] | None
    keep_neighbours: bool
    allow_missing: bool
    sides: Literal["image", "person"]
    use_occluded: bool
    train_sets: SetNames
    test_sets: SetNames
    balanced: bool
    subset: PositiveInt | None
    validation: ValidationSettings
    source: Component | None = None
    boxes: Component | None = None
    known: dict[str, SingleSetSettings] | None = None
    root: Any = None  # Hydra parses a folder named by digits as a number
    sets: SetNames = None

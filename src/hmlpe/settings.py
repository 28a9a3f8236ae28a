"""What all programs' settings share: a tree that is resolved once and checked by pydantic, and objects made of it."""

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


def _with_target(node: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(node.get("_target_"), str):
        raise PydanticCustomError("no_target", "no _target_")
    return node


def _given(value: Any) -> Any:
    if value == MISSING:
        raise PydanticCustomError("missing", "missing")
    return value


def _said(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "empty")
    return text


Component = Annotated[
    dict[str, Any], AfterValidator(_with_target), Field(description="settings of an object, with its _target_")
]
"""What `make` makes an object of."""
Text = Annotated[str, AfterValidator(_said), AfterValidator(_given)]
Name = Annotated[str | int | float, AfterValidator(_given), Field(description="a name")]
"""A number is one, too: Hydra reads row.name=7 as it stands."""
Whole = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Settings of a program, or a part of them.

    Attributes:
        tree: what `of` made them of, in plain containers: all of it, what no field of ours names too; a copy.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    _tree: dict[str, Any] | None = PrivateAttr(None)

    @classmethod
    def of(cls: type[T], config: object, name: str = "") -> T:
        """The settings of a configuration.

        Args:
            config: as Hydra composes it, or in plain containers.
            name: of the part that it is of a program's settings; "": it is all of them.

        Raises:
            UserError: in one line, which names the setting, what it must be, and what was given.
        """
        tree = plain(config)
        try:
            found = cls.model_validate(tree)
        except ValidationError as error:
            raise UserError(first_problem(error, cls, tree, name).of_settings()) from None
        found._tree = tree
        found.check_all()
        return found

    @property
    def tree(self) -> dict[str, Any]:
        """See the class. Raises AttributeError: of a part of other settings, whose tree holds its own."""
        if self._tree is None:
            raise AttributeError(f"{type(self).__name__}: a part has no tree of its own; take it out of the whole's")
        return copy.deepcopy(self._tree)

    def check_all(self) -> None:
        """Raise UserError if settings do not fit each other; of a program's."""


def plain(config: Any) -> Any:
    """The resolved configuration in plain containers, without Hydra's own part.

    Raises:
        UserError: a setting that others are made of is not given.
    """
    if isinstance(config, DictConfig) and "hydra" in config:
        config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        found = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig | ListConfig) else config
    except InterpolationToMissingValueError as error:
        named = re.search(r"Missing mandatory value: (\S+)", str(error))
        raise UserError(f"{named[1] if named else error.full_key}: is not given, and others are made of it") from error
    return {str(key): value for key, value in found.items()} if isinstance(found, Mapping) else found


def make(name: str, node: Mapping[str, Any], **given: Any) -> Any:
    """The object of a component's settings.

    Args:
        name: of the component among the settings.
        given: what its constructor gets beside them.

    Returns:
        The object; of a component with `_partial_` its function, whose call raises UserError as well.

    Raises:
        UserError: it cannot be made of them.
    """
    for setting in open_settings(name, {key: value for key, value in node.items() if key not in given}):
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
    return partial(_call, name, made) if node.get("_partial_") else made


def _call(name: str, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What the function of a component with `_partial_` makes; UserError if it does not take the settings."""
    try:
        return function(*given, **named)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: {' '.join(str(error).split())}") from error


def open_settings(name: str, value: Any) -> Iterator[str]:
    """The settings below this one that nobody has given."""
    if value == MISSING:
        yield name
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from open_settings(f"{name}.{key}", child)


def unknown_settings(name: str, node: object) -> Iterator[str]:
    """One line for each setting of a component, or of a component below it, that its constructor does not know.

    Args:
        name: of the component among the settings.
        node: `_target_` and the settings; what has none, or one that says nothing of its parameters, knows everything.
    """
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from unknown_settings(f"{name}.{place}", item)
    if not isinstance(node, Mapping):
        return
    known = parameters(node.get("_target_"))
    for key, value in node.items():
        if known is not None and key not in known and not of_hydra(key):
            yield f"{name}.{key}: there is no such setting; there are {', '.join(known)}"
        yield from unknown_settings(f"{name}.{key}", value)


def parameters(target: object) -> dict[str, Parameter] | None:
    """Those that the target can be given by name; None if it takes any, does not say, or is not there."""
    try:
        found = signature(resolve_name(str(target))).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return None
    kinds = {one.kind for one in found.values()}
    by_name = {name: one for name, one in found.items() if one.kind is not Parameter.POSITIONAL_ONLY}
    return None if kinds & {Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL} else by_name


def of_hydra(key: object) -> bool:
    """Whether it is one of Hydra's own settings of a component, as `_target_` is."""
    return re.fullmatch("_.*_", str(key)) is not None


class PathSettings(Settings, extra="forbid"):
    """The folders that all programs share, as in conf/paths/default.yaml."""

    data: Name
    outputs: Name


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

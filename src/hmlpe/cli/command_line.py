"""A command line as Hydra reads it: paths may hold anything, and a folder of the user's own configurations too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, ListConfig

import hmlpe

# Settings that are names of files and folders whatever they look like; others are names if Hydra cannot read them.
PATHS = re.compile(
    r"\+{0,2}(checkpoint|source|out|predictions|folder|paths\.\w+|(.+\.)?root|detector\.(file|images)|"
    r"data\.(.+\.)?source\.(images|table))"
)
READ_BY_HYDRA = re.compile(r"""'.*'|".*"|\[.*\]|\{.*\}|null|\d+|\?\?\?|.*\$\{.*""", re.DOTALL)
FUNCTION = re.compile(r"\w+\(.*\)", re.DOTALL)  # of a sweep: choice(a,b), glob(*)
FLAGS_WITH_A_VALUE = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p",
                      "--cfg", "-c", "--info", "-i", "--experimental-rerun"}  # fmt: skip


def for_hydra(words: Sequence[str]) -> list[str]:
    """The same words, with quotes where Hydra needs them, and with the home's path in place of a leading ~.

    Flags come first, as Hydra wants them, wherever they were typed.
    """
    several = bool({"-m", "--multirun"} & set(words))  # there a comma stands between two jobs
    flags: list[str] = []
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if before in FLAGS_WITH_A_VALUE:
            flags.append(at_home(word))
        elif word.startswith("-"):
            flag, equals, value = word.partition("=")
            flags.append(f"{flag}{equals}{at_home(value)}")
        else:
            settings.append(_setting(word, several))
    return [*flags, *settings]


def at_home(path: str) -> str:
    """The path with the home's in place of a leading ~, as a shell has it; any other text as it is."""
    return os.path.expanduser(path) if path.startswith("~") else path


def _setting(word: str, several: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals or not value:
        return word
    is_path = PATHS.fullmatch(key) is not None
    one = not several or os.path.lexists(at_home(value))
    if not one and FUNCTION.fullmatch(value) and _read(word) is not None:
        return word
    parts = [value] if one else list(_parts(value))
    return f"{key}={','.join(_value(key, part, is_path) for part in parts)}"


def _value(key: str, value: str, is_path: bool) -> str:
    """One value as Hydra reads it: a list's items one by one, quoted text unquoted and quoted anew if it is below ~."""
    inner = value[1:-1]
    exists = is_path and os.path.lexists(at_home(value))
    if value[:1] == "[" and value[-1:] == "]" and not exists:
        return f"[{','.join(_value(key, part, is_path=False) for part in _parts(inner))}]"
    if value[:1] in ("'", '"') and value[-1:] == value[:1] and inner.startswith("~") and not exists:
        return quoted(at_home(inner))
    if value.startswith("~"):
        return quoted(at_home(value))
    read = _read(f"{key}={value}")
    if exists or (is_path and not READ_BY_HYDRA.fullmatch(value)):
        return value if read == value else quoted(value)
    return value if read is not None or _read(f"{key}={quoted(value)}") is None else quoted(value)


def quoted(text: str) -> str:
    """The text in the quotes of Hydra's grammar."""
    plain = re.sub(r'(\\*)("|$)', lambda end: 2 * end[1] + ('\\"' if end[2] else ""), text)
    return f'"{plain}"'


def _read(word: str) -> object:
    """What Hydra makes of a setting's value (any object for null); None if it cannot read it."""
    try:
        found = OverridesParser.create().parse_override(word)
    except HydraException:
        return None
    value: object = found.value() if not found.is_sweep_override() else found
    return found if value is None else value


def _parts(text: str) -> Iterator[str]:
    """The text's parts between commas that stand in no quotes and no brackets."""
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[place - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


PACKAGE = Path(hmlpe.__file__).parent
CONFIGS = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1] / "conf"  # wheel, or checkout


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of files under the same name (it registers one by that), but

    - a folder that is named like a setting (predictions/, checkpoint/, row.name/) is no group of configurations;
    - a path below ~ in a file is one below the home.
    """

    def is_group(self, config_path: str) -> bool:
        """Whether `config_path` is a folder of configurations."""
        return "." not in config_path and super().is_group(config_path) and config_path not in settings()

    def load_config(self, config_path: str) -> ConfigResult:
        """The file's content."""
        found = super().load_config(config_path)
        _expand(found.config)
        return found


@cache
def settings() -> frozenset[str]:
    """The names of all programs' settings that are no groups of configurations."""
    names = {str(key) for path in CONFIGS.glob("*.yaml") for key in yaml.safe_load(path.read_text("utf-8"))}
    return frozenset(name for name in names if not (CONFIGS / name).is_dir())


def _expand(config: Any) -> None:
    """Put the home's path in place of a leading ~ in every text of the tree."""
    items: Any = config.items_ex(resolve=False) if isinstance(config, DictConfig) else enumerate(config)
    if isinstance(config, ListConfig):
        items = enumerate(list(config._iter_ex(resolve=False)))
    for key, value in list(items):
        if isinstance(value, DictConfig | ListConfig):
            _expand(value)
        elif isinstance(value, str) and value.startswith("~"):
            config[key] = at_home(value)


def use() -> None:
    """From now on Hydra reads files by it, in this process and in those that get its state."""
    SourcesRegistry.instance().types["file"] = FileConfigSource

"""Rewrite the command line so that Hydra takes its values as typed.

The command line may hold paths with any characters, a leading ~, and the user's own folder of configurations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
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
    r"\+{0,2}(checkpoint|init_from|source|out|predictions|folder|paths\.\w+|(.+\.)?root|detector\.(file|images)|"
    r"data\.(.+\.)?source\.(images|table))"
)
READ_BY_HYDRA = re.compile(r"""'.*'|".*"|\[.*\]|\{.*\}|null|\d+|\?\?\?|.*\$\{.*""", re.DOTALL)
FUNCTION = re.compile(r"\w+\(.*\)", re.DOTALL)  # of a sweep: choice(a,b), glob(*)
FLAGS_WITH_A_VALUE = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p",
                      "--cfg", "-c", "--info", "-i", "--experimental-rerun"}  # fmt: skip
PACKAGE = Path(hmlpe.__file__).parent
CONFIGS = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1] / "conf"  # wheel, or checkout


_PARSED: dict[tuple[Any, ...], ConfigResult] = {}


def to_hydra_arguments(words: Sequence[str]) -> list[str]:
    """Return the words of the command line in the order and quoting that Hydra expects.

    Flags come first, wherever they were typed; values are quoted where needed; a leading ~ is replaced by the home
    folder.
    """
    is_multirun = bool({"-m", "--multirun"} & set(words))  # there a comma stands between two jobs
    flags: list[str] = []
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if before in FLAGS_WITH_A_VALUE:
            flags.append(expand_home(word))
        elif word.startswith("-"):
            flag, equals, value = word.partition("=")
            flags.append(f"{flag}{equals}{expand_home(value)}")
        else:
            settings.append(_quoted_setting(word, is_multirun))
    return [*flags, *settings]


def expand_home(path: str) -> str:
    """Replace a leading ~ by the home folder, as a shell does; return any other text unchanged."""
    return os.path.expanduser(path) if path.startswith("~") else path


def _quoted_setting(word: str, is_multirun: bool) -> str:
    """Return an override `key=value` with its value, or in a multirun each of its values, quoted where needed."""
    key, equals, value = word.partition("=")
    if not equals or not value:
        return word
    is_path = PATHS.fullmatch(key) is not None
    one = not is_multirun or os.path.lexists(expand_home(value))
    if not one and FUNCTION.fullmatch(value) and _parsed_value(word) is not None:
        return word
    parts = [value] if one else list(_split_at_commas(value))
    return f"{key}={','.join(_quoted_value(key, part, is_path) for part in parts)}"


def _quoted_value(key: str, value: str, is_path: bool) -> str:
    """Return the value of the setting `key`, quoted if Hydra would misread it.

    The items of a list are treated one by one, and a leading ~ is expanded, within quotes, too.
    """
    inner = value[1:-1]
    exists = is_path and os.path.lexists(expand_home(value))
    if value[:1] == "[" and value[-1:] == "]" and not exists:
        return f"[{','.join(_quoted_value(key, part, is_path=False) for part in _split_at_commas(inner))}]"
    if value[:1] in ("'", '"') and value[-1:] == value[:1] and inner.startswith("~") and not exists:
        return hydra_quoted(expand_home(inner))
    if value.startswith("~"):
        return hydra_quoted(expand_home(value))
    read = _parsed_value(f"{key}={value}")
    if exists or (is_path and not READ_BY_HYDRA.fullmatch(value)):
        return value if read == value else hydra_quoted(value)
    return value if read is not None or _parsed_value(f"{key}={hydra_quoted(value)}") is None else hydra_quoted(value)


def hydra_quoted(text: str) -> str:
    """Return the text in double quotes, escaped as Hydra's grammar requires."""
    plain = re.sub(r'(\\*)("|$)', lambda end: 2 * end[1] + ('\\"' if end[2] else ""), text)
    return f'"{plain}"'


def _parsed_value(word: str) -> object:
    """Return the value that Hydra parses from `key=value`; None if it cannot be parsed.

    A null or a sweep gives Hydra's override object.
    """
    try:
        found = OverridesParser.create().parse_override(word)
    except HydraException:
        return None
    value: object = found.value() if not found.is_sweep_override() else found
    return found if value is None else value


def _split_at_commas(text: str) -> Iterator[str]:
    """Split the text at the commas outside quotes and brackets, and yield its parts."""
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


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's reader of configuration folders, with three changes.

    - A folder named like a setting (predictions/, checkpoint/, row.name/) is not taken for a config group.
    - A value with a leading ~ in a file is expanded to the home folder.
    - A file is parsed once, and again when it has changed: the jobs of a sweep are composed from the same thirty files.

    The class must have the name of Hydra's own: Hydra registers its reader by the class's name, and refuses a
    second reader under another name.
    """

    def is_group(self, config_path: str) -> bool:
        """Return whether `config_path` is a folder of configurations."""
        return "." not in config_path and super().is_group(config_path) and config_path not in plain_setting_names()

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the file's configuration, with every leading ~ expanded."""
        path = os.path.join(self.path, self._normalize_file_name(config_path))
        try:
            status = os.stat(path)
        except OSError:
            return super().load_config(config_path)  # which says what is wrong
        key = (self.provider, path, status.st_mtime_ns, status.st_size, status.st_ino)
        if key not in _PARSED:
            found = super().load_config(config_path)
            _expand_home_in(found.config)
            _PARSED[key] = found
        return deepcopy(_PARSED[key])  # as Hydra changes what it is given


@cache
def plain_setting_names() -> frozenset[str]:
    """Return the top-level names in all programs' configurations that are not config groups."""
    names = {str(key) for path in CONFIGS.glob("*.yaml") for key in yaml.safe_load(path.read_text("utf-8"))}
    return frozenset(name for name in names if not (CONFIGS / name).is_dir())


def _expand_home_in(config: Any) -> None:
    """Replace a leading ~ by the home folder in every text of the configuration, in place."""
    items: Any = config.items_ex(resolve=False) if isinstance(config, DictConfig) else enumerate(config)
    if isinstance(config, ListConfig):
        items = enumerate(list(config._iter_ex(resolve=False)))
    for key, value in list(items):
        if isinstance(value, DictConfig | ListConfig):
            _expand_home_in(value)
        elif isinstance(value, str) and value.startswith("~"):
            config[key] = expand_home(value)


def register_config_source() -> None:
    """Make Hydra read configuration files by `FileConfigSource`, here and in processes that receive Hydra's state."""
    SourcesRegistry.instance().types["file"] = FileConfigSource

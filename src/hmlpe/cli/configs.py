"""A user's own folder of configurations, which may hold all kinds of other folders and files too."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, ListConfig

import hmlpe
from hmlpe.cli.words import at_home

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

"""The configurations, put together once: what a test, or a fork of the warm server, chooses again is copied.

Hydra reads and merges some thirty files for each; with the values of the command line, which it sets at last, that is
most of what many a test would do. Where other folders are searched (--config-dir), nothing is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import hydra._internal.config_loader_impl as loader
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import DefaultsList, Overrides
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

_chosen, _merged = dict[Any, Any](), dict[Any, DictConfig]()
_choose, _merge = loader.create_defaults_list, loader.ConfigLoaderImpl._compose_config_from_defaults_list


def keep(configs: str) -> None:
    """From now on, of those in this folder."""

    def searched(repo: IConfigRepository) -> Any:
        """What is, if it is nothing else."""
        sources = [(source.scheme(), source.path) for source in repo.get_sources()]
        other = any(scheme == "file" and path != configs for scheme, path in sources)
        return None if other else (SourcesRegistry.instance().types["file"], *sources)

    def choose(repo: IConfigRepository, overrides_list: list[Override], **given: Any) -> DefaultsList:
        own = Overrides(repo=repo, overrides_list=overrides_list)
        where = searched(repo)
        choices = sorted(own.override_choices.items())  # in whatever order they are typed
        key = (where, repr((choices, own.append_group_defaults, own.deletions)), *given.values())
        if where is None or key not in _chosen:
            found = _choose(repo=repo, overrides_list=overrides_list, **given)
            if where is None:
                return found
            _chosen[key] = found
        kept = _chosen[key]
        return DefaultsList(kept.defaults, kept.defaults_tree, own.config_overrides, kept.overrides)

    def merge(self: Any, defaults: Sequence[ResultDefault], repo: IConfigRepository) -> DictConfig:
        where = searched(repo)
        key = (where, repr(defaults))
        if where is None:
            return _merge(self, defaults=defaults, repo=repo)
        if key not in _merged:
            _merged[key] = _merge(self, defaults=defaults, repo=repo)
        return copy.deepcopy(_merged[key])

    loader.create_defaults_list = choose
    loader.ConfigLoaderImpl._compose_config_from_defaults_list = merge

"""What Hydra keeps for a whole process (search paths, plugins, the job's configuration), carried into another one."""

from __future__ import annotations

from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals

import hmlpe.row_name  # noqa: F401  its resolver, which the configurations name


def take() -> dict[Any, Any]:
    """The state of this process, without resolvers and plugins: functions and modules cannot be sent."""
    instances: dict[Any, Any] = Singleton.get_state()["instances"]
    return instances


def give(instances: dict[Any, Any]) -> None:
    """Make it this process's own. (Hydra's own way would look for all plugins again, in every job.)"""
    setup_globals()
    Singleton._instances.update(instances)

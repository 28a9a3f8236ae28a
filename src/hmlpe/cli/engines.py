"""What the engines of a cluster (SLURM by submitit, Ray) say when they fail, as one line."""

from __future__ import annotations

import traceback

from hydra.errors import MissingConfigException

from hmlpe.errors import install

EXTRAS = {"hydra_submitit_launcher": "slurm", "hydra_ray_launcher": "ray", "hydra_optuna_sweeper": "optuna"}
CONFIGS_OF = {
    "hydra/sweeper/optuna": "hydra_optuna_sweeper",
    "hydra/launcher/submitit_local": "hydra_submitit_launcher",
}
LAUNCHERS = ("hydra_submitit_launcher", "hydra_ray_launcher")
LINES = 3  # of a message; submitit appends a whole log


def missing_extra(error: Exception) -> str | None:
    """One line for the user if a plugin of Hydra's is not installed that an extra of ours holds; else None."""
    said = str(error)
    unknown = said if said.startswith("Unknown plugin class") else ""
    plugins = [plugin for plugin in EXTRAS if f"hydra_plugins.{plugin}." in unknown]
    if isinstance(error, MissingConfigException):
        plugins += [plugin for config, plugin in CONFIGS_OF.items() if f"'{config}'" in said]
    return next((f"{one} is not installed; install the extra: {install(EXTRAS[one])}" for one in plugins), None)


def engine_error(error: Exception) -> str | None:
    """One line for the user if a launcher's engine failed; None for any other error.

    Errors of a run are not meant: an engine hands them back as results.
    """
    said = str(error)
    modules = {str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)}
    for plugin in LAUNCHERS:
        if any(module.startswith(f"hydra_plugins.{plugin}.") for module in modules):
            lines = [line.strip() for line in said.splitlines() if line.strip()][:LINES]
            return f"hydra/launcher, by {plugin}: {'; '.join(lines) or type(error).__name__}"
    return None

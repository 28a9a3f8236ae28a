"""What the engines of a cluster (SLURM by submitit, Ray) say when they fail, as one line."""

from __future__ import annotations

import traceback

EXTRAS = {"hydra_submitit_launcher": "slurm", "hydra_ray_launcher": "ray", "hydra_optuna_sweeper": "optuna"}
LAUNCHERS = ("hydra_submitit_launcher", "hydra_ray_launcher")
LINES = 3  # of a message; submitit appends a whole log


def engine_error(error: Exception) -> str | None:
    """One line for the user if a plugin is not installed, or its engine failed; None for any other error.

    Errors of a run are not meant: an engine hands them back as results.
    """
    said = str(error)
    for plugin, extra in EXTRAS.items():
        if said.startswith("Unknown plugin class") and f"hydra_plugins.{plugin}." in said:
            return f"{plugin} is not installed; install the extra: pip install 'hmlpe[{extra}]'"
    modules = {str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)}
    for plugin in LAUNCHERS:
        if any(module.startswith(f"hydra_plugins.{plugin}.") for module in modules):
            lines = [line.strip() for line in said.splitlines() if line.strip()][:LINES]
            return f"hydra/launcher, by {plugin}: {'; '.join(lines) or type(error).__name__}"
    return None

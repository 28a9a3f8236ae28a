"""Where Hydra looks for launchers. What it does is in hmlpe.sweep."""

from hmlpe.sweep.launcher import Isolated


class IsolatedLauncher(Isolated):
    """hydra/launcher=isolated"""

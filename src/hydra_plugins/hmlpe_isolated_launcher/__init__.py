"""Where Hydra looks for launchers, whenever it composes. What it does is in hmlpe.sweep."""

import hmlpe.row_name  # noqa: F401  its resolver, which the configurations name
from hmlpe.sweep.launcher import Isolated


class IsolatedLauncher(Isolated):
    """hydra/launcher=isolated"""

"""The launcher `isolated`, in the place where Hydra searches for plugins; its implementation is in hmlpe.sweep."""

import hmlpe.row_name  # noqa: F401  registers the resolver that the configurations use
from hmlpe.sweep.launcher import Isolated


class IsolatedLauncher(Isolated):
    """Hydra's plugin for hydra/launcher=isolated."""

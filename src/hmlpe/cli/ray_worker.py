"""How a process of a Ray cluster starts: conf/hydra/launcher/ray.yaml names this module."""

from __future__ import annotations

import os


def enter_folder() -> None:
    """Go to the folder in which the sweep was called, as relative paths are meant from there; Ray's is another.

    Raises:
        FileNotFoundError: this node does not see that folder.
    """
    os.chdir(os.environ["HMLPE_FOLDER"])

"""How a process of a Ray cluster starts: conf/hydra/launcher/ray.yaml names this module."""

from __future__ import annotations

import os
import sys


def enter_folder() -> None:
    """Go to the folder in which the sweep was called, as relative paths are meant from there; Ray's is another.

    Packages are looked for where the sweep's PYTHONPATH says, too: a task of one's own is to be found as it was there.

    Raises:
        FileNotFoundError: this node does not see that folder.
    """
    os.chdir(os.environ["HMLPE_FOLDER"])
    for path in os.environ.get("HMLPE_PATH", "").split(os.pathsep):
        if path and os.path.abspath(path) not in sys.path:
            sys.path.append(os.path.abspath(path))

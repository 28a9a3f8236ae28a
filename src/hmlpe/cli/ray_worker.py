"""How a process of a Ray cluster starts: conf/hydra/launcher/ray.yaml names this module."""

from __future__ import annotations

import os
import sys


def enter_folder() -> None:
    """Go to the folder in which the sweep was called, as relative paths are meant from there; Ray's is another.

    Packages are looked for where the sweep's PYTHONPATH says, in its order and before what is installed: a task of
    one's own is to be found as it was in the call.

    Raises:
        FileNotFoundError: this node does not see that folder.
    """
    os.chdir(os.environ["HMLPE_FOLDER"])
    given = [os.path.abspath(path) for path in os.environ.get("HMLPE_PATH", "").split(os.pathsep) if path]
    sys.path[:] = [*given, *(path for path in sys.path if path not in given)]

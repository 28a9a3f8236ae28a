"""Set up a worker process of a Ray cluster; named in conf/hydra/launcher/ray.yaml."""

from __future__ import annotations

import os
import sys


def enter_folder() -> None:
    """Change to the folder in which the sweep was started, and extend the path for imports.

    Ray starts the process in another folder; relative paths refer to the sweep's folder. The folders of the sweep's
    PYTHONPATH are put, in their order, before the installed packages, so that a user's own task is found as it was
    where the sweep was started.

    Raises:
        FileNotFoundError: the folder does not exist on this node.
    """
    os.chdir(os.environ["HMLPE_FOLDER"])
    given = [os.path.abspath(path) for path in os.environ.get("HMLPE_PATH", "").split(os.pathsep) if path]
    sys.path[:] = [*given, *(path for path in sys.path if path not in given)]

"""What the console scripts share: configurations found from anywhere, and one clear line for bad input."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

import hmlpe
from hmlpe.bad_input import BAD_INPUT
from hmlpe.cli.engines import engine_error
from hmlpe.errors import UserError

BAD_DISK = {
    errno.ENOSPC: "make room there; the same command goes on",
    errno.EDQUOT: "make room there; the same command goes on",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose a folder that you may read and write",
}
PACKAGE = Path(hmlpe.__file__).parent
# A launcher's config of ours has the name of its plugin's, against which Hydra checks it: that is meant.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")
CONFIGS = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1] / "conf"  # wheel, or checkout


def run_app(config_name: str, task: Callable[[DictConfig], object], flags: Mapping[str, str] | None = None) -> None:
    """Run `task` as a Hydra app over the packaged configurations.

    Args:
        flags: words on the command line, each short for an override.

    Bad input, and a disk that is full or closed to us, end the process with exit code 2 and one line on stderr; a bug
    keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we make the line
    job = partial(_job, task)
    sys.argv[1:] = [(flags or {}).get(word, word) for word in sys.argv[1:]]
    try:
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(job)()
    except (*BAD_INPUT, OSError) as error:
        _stop(error)
    except SystemExit as leaving:
        if isinstance(leaving.code, UserError):  # of a callback: Hydra swallows its errors
            _stop(leaving.code)
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = engine_error(error)
        if line is None:
            raise
        _stop(UserError(line))


def _job(task: Callable[[DictConfig], object], config: DictConfig) -> object:
    try:
        return task(config)
    except (*BAD_INPUT, OSError) as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:  # this job fails, the others go on
            raise
        _stop(error)  # before Hydra adds lines of its own


def _stop(error: Exception) -> NoReturn:
    cause: object = error.__cause__ if isinstance(error.__cause__, UserError) else error
    if isinstance(error, OSError) and not isinstance(error, BAD_INPUT):  # a missing config is both
        if error.errno not in BAD_DISK:
            raise error
        cause = f"{error.filename or 'output'}: {error.strerror}; {BAD_DISK[error.errno]}"
    print("error:", "; ".join(part.strip() for part in str(cause).splitlines() if part.strip()), file=sys.stderr)
    sys.exit(2)

"""Provenance of a result: digests of the code and settings that made it, versions of packages, and the machine."""

from __future__ import annotations

import ast
import platform
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import hmlpe
from hmlpe.files import digest_of, digest_of_file
from hmlpe.training.build import config_digest
from hmlpe.training.devices import world_size
from hmlpe.training.settings import TrainSettings
from hmlpe.training.trusted import walk_config

USER_CODE = "own_code"  # key of the digest of a user's own packages; present only in results that use some
MADE_BY = ("code", "data", "config", USER_CODE)  # the parts of a run's identity that its checkpoints carry
PACKAGES = (
    "torch",
    "lightning",
    "hydra-core",
    "omegaconf",
    "torchmetrics",
    "albumentations",
    "opencv-python-headless",
    "numpy",
)
# The packages' names in imports.
LIBRARIES = {"torch", "lightning", "hydra", "omegaconf", "torchmetrics", "albumentations", "cv2", "numpy"}
# Parts of the settings that may name a user's own code.
MADE_OF = ("tasks", "metrics", "balance", "network", "optim", "augment", "windows", "skeleton")
# Modules that only show numbers, or that check and read input, whose outcome is in the configuration's digest.
NOT_IN_CODE_DIGEST = (
    *(f"{package}/" for package in ("bench", "detect", "tracking", "sweep", "report", "predict", "evaluate")),
    *("dashboard/", "cli/", "palette.py", "pictures.py", "api.py", "__init__.py", "lock.py", "address.py"),
    *(
        "bad_input.py",
        "checked.py",
        "resample.py",
        "control_group.py",
        "words.py",
        "text_table.py",
        "file_kinds.py",
        "row_name.py",
    ),
    *(f"training/{name}.py" for name in ("bare_steps", "callbacks", "estimate", "logs", "mirrors", "stages", "watch")),
    *("settings.py", "training/settings.py", "runs/result.py"),
)
PACKAGE = Path(hmlpe.__file__).parent
# Strings and comments are matched together, as either may contain the start of the other. (The module tokenize could do
# this, but took half a second at every start.)
_STRING_OR_COMMENT = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>#[^\n]*)''',
    re.S,
)
_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def code_digest() -> str:
    """Return a digest of the source on which results depend: all modules but those that only show numbers.

    Comments and docstrings do not enter the digest.
    """
    sources = [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.relative_to(PACKAGE).as_posix().startswith(NOT_IN_CODE_DIGEST)
    ]
    return digest_of({str(path.relative_to(PACKAGE)): strip_comments(path.read_text("utf-8")) for path in sources})


def user_code_digests(settings: TrainSettings) -> dict[str, str]:
    """Return digests of the user's own packages that a run uses, by the packages' names; they are not imported."""
    nodes = walk_config([settings.tree[part] for part in MADE_OF])
    targets = {str(one["_target_"]) for one in nodes if isinstance(one, Mapping) and "_target_" in one}
    names = {target.partition(".")[0] for target in targets} - {"hmlpe"} - LIBRARIES - sys.stdlib_module_names
    return {name: digest for name in sorted(names) if (digest := package_digest(name)) is not None}


@cache
def package_digest(name: str) -> str | None:
    """Return a digest of a package's source without comments and docstrings; None if there is no such package.

    A missing package raises an error later, where it is used.
    """
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):  # not the name of a package, or __main__
        return None
    if spec is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    found = [(path.relative_to(folder), path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    if not folders and spec.origin is not None:
        found = [(Path(Path(spec.origin).name), Path(spec.origin))]
    return digest_of(
        {path.as_posix(): _strip_if_python(file.read_text("utf-8", "backslashreplace")) for path, file in found}
    )


def _strip_if_python(source: str) -> str:
    """Strip comments and docstrings; source that this Python cannot parse is returned unchanged."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return strip_comments(source)
    except (SyntaxError, ValueError, RecursionError):
        return source


def strip_comments(source: str) -> str:
    """Return the source without comments, docstrings and empty lines, which change no result.

    >>> strip_comments("x = 1  # one")
    'x = 1'
    """
    source = _STRING_OR_COMMENT.sub(lambda found: found[0] if found["comment"] is None else "", source)
    lines, gone = source.split("\n"), []  # not splitlines(): for Python a form feed does not end a line
    nodes: list[ast.AST] = [ast.parse(source)]
    for node in nodes:  # the list grows: only statements are followed, as only they can have docstrings
        nodes += [part for part in ast.iter_child_nodes(node) if isinstance(part, _STATEMENTS)]
        first = node.body[0] if isinstance(node, _DOCUMENTED) and node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            end_line, end = first.end_lineno or first.lineno, first.end_col_offset or 0
            places = ((first.lineno, first.col_offset), (end_line, end))
            gone.append([(line, len(lines[line - 1].encode()[:at].decode())) for line, at in places])  # as characters
    for (line, column), (last, end) in sorted(gone, reverse=True):
        lines[line - 1 : last] = [lines[line - 1][:column] + lines[last - 1][end:]]
    return "\n".join(kept for text in "\n".join(lines).splitlines() if (kept := text.rstrip()))


def run_identity(settings: TrainSettings, data_digest: str) -> dict[str, str]:
    """Return the identity of a run's result: the seed, and digests of code, data, configuration and start checkpoint.

    A later run in the same folder is the same run only if its identity is equal.

    Args:
        settings: the settings of the run.
        data_digest: digest of the pack, from its manifest.
    """
    start = digest_of_file(Path(settings.init_from)) if settings.init_from else "scratch"
    made_by = {"code": code_digest(), "data": data_digest, "config": config_digest(settings)}
    if own := user_code_digests(settings):
        made_by[USER_CODE] = digest_of(own)
    return {**made_by, "start": start, "seed": str(settings.seed)}


def run_provenance(settings: TrainSettings, data_digest: str, precision: str) -> dict[str, Any]:
    """Return the provenance of a run's numbers, as result.json stores it: revision and digests, packages, machine.

    Its entry `settings` is a digest of the configuration that is the same for all rows of a study.

    Args:
        settings: the settings of the run.
        data_digest: digest of the pack, from its manifest.
        precision: Lightning's name of the precision.
    """
    revision = _git_output("rev-parse", "HEAD")
    return {
        "git_revision": revision,
        "git_dirty": None if revision is None else bool(_git_output("status", "--porcelain", "--untracked-files=no")),
        "code": code_digest(),
        **({USER_CODE: own} if (own := user_code_digests(settings)) else {}),
        "data": data_digest,
        "config": config_digest(settings),
        "settings": config_digest(settings, include_row=False),
        "packages": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "device": device_name(settings.trainer.accelerator),
        "devices": world_size(settings.trainer),
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def _git_output(*arguments: str) -> str | None:
    """Return the output of a git command in the package's folder; None if that is no git checkout of this project."""
    if not (PACKAGE.parents[1] / "pyproject.toml").is_file():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def device_name(accelerator: str) -> str:
    """Return the model name of the GPU, or of the CPU, that a run with this accelerator setting uses."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        names = [line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    except OSError:
        names = []
    return (names[0].strip() if names else platform.processor() or platform.machine()) + " (CPU)"

"""Under which names pictures are written: no two the same, and never a source's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path, PurePosixPath


class Names:
    """Hands out file names below a folder.

    Args:
        out: the folder.
        reserved: files that are never to be overwritten, absolute.
    """

    def __init__(self, out: Path, reserved: Iterable[Path] = ()) -> None:
        self._out = out
        self._taken = {_key(path.resolve()) for path in reserved}

    def new(self, name: str, ending: str) -> Path:
        """`<folders>/<stem><ending>`; with the whole name, or a number too, where that is taken.

        Args:
            name: a source's, relative, with slashes.
            ending: such as _pose.jpg.
        """
        source = PurePosixPath(name)
        numbered = (f"{source.name}_{number}" for number in itertools.count(2))
        for stem in itertools.chain([source.stem, source.name], numbered):
            path = self._out / source.parent / (stem + ending)
            key = _key(path.resolve())
            if key not in self._taken:
                break
        self._taken.add(key)
        return path


def _key(path: Path) -> str:
    """Equal for names that are one file on any file system."""
    return str(path).casefold()

"""The commands that README and the pages of docs/ show, as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```.*\n(?P<fenced>(?:(?!```).*\n)*)```$|(?:^\n|\A)(?P<indented>(?: {4}.*\n)+)", re.M)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
START = re.compile(r"(hmlpe-|make |pip install|torchrun|sbatch|wandb|ray |ssh |eval |tests/)")


@dataclass(frozen=True)
class Command:
    """One that a user would type; `words` are as the shell makes them."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    @property
    def program(self) -> str:
        """The part after hmlpe-, as its module is called; empty for others."""
        found = re.match(r"hmlpe-([a-z-]+)", self.text)
        return found[1].replace("-", "_") if found else ""

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page: str) -> list[Command]:
    """All commands of a page's blocks, in order."""
    found = []
    for block in BLOCK.finditer(text_of(page)):
        lines = (block["fenced"] or block["indented"]).replace("\\\n", " ").splitlines()
        found += [Command(page, line.strip()) for line in lines if START.match(line.strip())]
    return found


def inline(page: str) -> Iterator[str]:
    """What stands in the text as code."""
    for found in INLINE.finditer(BLOCK.sub("\n", text_of(page))):
        yield " ".join(found[1].replace("\\|", "|").split())

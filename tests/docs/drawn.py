"""Draw twenty docstrings and twenty names at random, to be read as a newcomer would: drawn.py SEED."""

from __future__ import annotations

import ast
import random
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "hmlpe"
COUNT = 20
Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def defined() -> Iterator[tuple[str, Defined]]:
    """Yield every function, method and class of the package, with its place; a method's name is Class.name."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    inner.name = f"{node.name}.{inner.name}"
            if isinstance(node, Defined):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node


def main(seed: int) -> None:
    """Print them."""
    everything = list(defined())
    documented = [(place, node) for place, node in everything if ast.get_docstring(node)]
    draw = random.Random(seed)
    for place, node in draw.sample(documented, COUNT):
        print(f"{place} {node.name}\n    {ast.get_docstring(node)}\n".replace("\n\n", "\n"))
    for place, node in draw.sample(everything, COUNT):
        arguments = "" if isinstance(node, ast.ClassDef) else f"({ast.unparse(node.args)})"
        print(f"{place} {node.name}{arguments}")


if __name__ == "__main__":
    main(int(sys.argv[1]))

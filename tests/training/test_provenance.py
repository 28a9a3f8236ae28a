"""The digest of the code: words change nothing, all else does."""

from __future__ import annotations

import io
import tokenize
from pathlib import Path

import pytest

from hmlpe.training import provenance

LINES = {  # what a line becomes
    '"""A module: # no comment."""': "",
    "import re  # a comment with \"quotes\" and '''": "import re",
    "": "",
    "# 'one' alone": "",
    'NAME = "# kept" + \'"#\' + r"\\\\#" + f"{1}#"  # "': 'NAME = "# kept" + \'"#\' + r"\\\\#" + f"{1}#"',
    'TEXT = """kept # here': 'TEXT = """kept # here',
    "''' # and here": "''' # and here",
    '"""  # gone': '"""',
    "class Thing:": "class Thing:",
    '    """Words over': "",
    '    two lines é."""; x = 1': "    ; x = 1",
    "    def f(self):": "    def f(self):",
    "        'Words.'": "",
    "        if self:": "        if self:",
    '            async def g(): "Words"; return "é # kept"  # é': '            async def g(): ; return "é # kept"',
}


def test_words_go_and_nothing_else_does() -> None:
    assert provenance.without_words("\n".join(LINES)) == "\n".join(filter(None, LINES.values()))


@pytest.mark.parametrize("path", sorted((provenance.PACKAGE / "training").glob("*.py")), ids=lambda path: path.stem)
def test_comments_are_those_of_the_language(path: Path) -> None:
    source = path.read_text("utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    found = [one["comment"] for one in provenance._STRING_OR_COMMENT.finditer(source)]
    assert [one for one in found if one is not None] == comments

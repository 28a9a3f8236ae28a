"""Numbers with their nouns, and texts in lines."""

import textwrap


def number(count: int, one: str, many: str = "") -> str:
    """`1 run`, `2 runs`; `many` where an s is not enough."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def filled(text: str, width: int, indent: str = "") -> str:
    """The text in lines of so many characters, but for a word that is longer; those after the first are indented."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

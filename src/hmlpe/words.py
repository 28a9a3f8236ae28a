"""Numbers with their nouns, and wrapped text."""

import textwrap


def number(count: int, one: str, many: str = "") -> str:
    """Return the count with its noun, e.g. `2 runs`; give `many` where the plural is not formed with s.

    >>> number(1, "run"), number(2, "run"), number(2, "person", "people")
    ('1 run', '2 runs', '2 people')
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def filled(text: str, width: int, indent: str = "") -> str:
    """Wrap the text at `width` characters; lines after the first start with `indent`. Longer words are not broken."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

"""Numbers with their nouns, and wrapped text."""

import textwrap


def count_with_noun(count: int, singular: str, plural: str = "") -> str:
    """Return the count with its noun, e.g. `2 runs`; give `plural` where it is not formed with s.

    >>> count_with_noun(1, "run"), count_with_noun(2, "run"), count_with_noun(2, "person", "people")
    ('1 run', '2 runs', '2 people')
    """
    return f"{count} {singular if count == 1 else plural or f'{singular}s'}"


def wrap_text(text: str, width: int, indent: str = "") -> str:
    """Wrap the text at `width` characters; lines after the first start with `indent`. Longer words are not broken."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

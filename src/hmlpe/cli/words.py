"""The words of a command line as Hydra reads them: paths may hold anything, and ~ is the home.

Hydra has a grammar of its own for values, in which brackets, commas, signs of equality, umlauts and more need quotes
inside the shell's. Here they are put where a user left them out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# Settings that are names of files and folders whatever they look like; others are names if Hydra cannot read them.
PATHS = re.compile(
    r"\+{0,2}(checkpoint|source|out|predictions|folder|paths\.\w+|(.+\.)?root|detector\.(file|images)|"
    r"data\.(.+\.)?source\.(images|table))"
)
READ_BY_HYDRA = re.compile(r"""'.*'|".*"|\[.*\]|\{.*\}|null|\d+|\?\?\?|.*\$\{.*""", re.DOTALL)
FUNCTION = re.compile(r"\w+\(.*\)", re.DOTALL)  # of a sweep: choice(a,b), glob(*)
FLAGS_WITH_A_VALUE = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--package", "-p",
                      "--cfg", "-c", "--info", "-i", "--experimental-rerun"}  # fmt: skip


def for_hydra(words: Sequence[str]) -> list[str]:
    """The same words, with quotes where Hydra needs them, and with the home's path in place of a leading ~.

    Flags come first, as Hydra wants them, wherever they were typed.
    """
    several = bool({"-m", "--multirun"} & set(words))  # there a comma stands between two jobs
    flags: list[str] = []
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if before in FLAGS_WITH_A_VALUE:
            flags.append(at_home(word))
        elif word.startswith("-"):
            flag, equals, value = word.partition("=")
            flags.append(f"{flag}{equals}{at_home(value)}")
        else:
            settings.append(_setting(word, several))
    return [*flags, *settings]


def at_home(path: str) -> str:
    """The path with the home's in place of a leading ~, as a shell has it; any other text as it is."""
    return os.path.expanduser(path) if path.startswith("~") else path


def _setting(word: str, several: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals or not value:
        return word
    is_path = PATHS.fullmatch(key) is not None
    one = not several or os.path.lexists(at_home(value))
    if not one and FUNCTION.fullmatch(value) and _read(word) is not None:
        return word
    parts = [value] if one else list(_parts(value))
    return f"{key}={','.join(_value(key, part, is_path) for part in parts)}"


def _value(key: str, value: str, is_path: bool) -> str:
    """One value as Hydra reads it: a list's items one by one, quoted text unquoted and quoted anew if it is below ~."""
    inner = value[1:-1]
    exists = is_path and os.path.lexists(at_home(value))
    if value[:1] == "[" and value[-1:] == "]" and not exists:
        return f"[{','.join(_value(key, part, is_path=False) for part in _parts(inner))}]"
    if value[:1] in ("'", '"') and value[-1:] == value[:1] and inner.startswith("~") and not exists:
        return quoted(at_home(inner))
    if value.startswith("~"):
        return quoted(at_home(value))
    read = _read(f"{key}={value}")
    if exists or (is_path and not READ_BY_HYDRA.fullmatch(value)):
        return value if read == value else quoted(value)
    return value if read is not None or _read(f"{key}={quoted(value)}") is None else quoted(value)


def quoted(text: str) -> str:
    """The text in the quotes of Hydra's grammar."""
    plain = re.sub(r'(\\*)("|$)', lambda end: 2 * end[1] + ('\\"' if end[2] else ""), text)
    return f'"{plain}"'


def _read(word: str) -> object:
    """What Hydra makes of a setting's value (any object for null); None if it cannot read it."""
    try:
        found = OverridesParser.create().parse_override(word)
    except HydraException:
        return None
    value: object = found.value() if not found.is_sweep_override() else found
    return found if value is None else value


def _parts(text: str) -> Iterator[str]:
    """The text's parts between commas that stand in no quotes and no brackets."""
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[place - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]

"""`--help` of a program: what it does, and its settings, in the words of its configuration file's comments."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import NamedTuple

import yaml

from hmlpe.cli.command_line import CONFIGS

EXIT_CODES = "0; 2 and one line for bad input; 130 after Ctrl-C."
FOOT = (
    "Settings are given as name=value, lists as [a,b]. All of them, resolved: {program} --cfg job. Configurations of "
    "your own: --config-dir FOLDER. Hydra's flags: --hydra-help."
)
_SETTING = re.compile(r"( *)([\w.]+):(?: ([^#]*?))? *(?:# (.*))?")
_COMMENT = re.compile(r" *# (.*)")


class Setting(NamedTuple):
    """A setting in a configuration file: its full name, its value as written, and its comment."""

    name: str
    value: str
    comment: str


def help_of(config: str, width: int | None = None) -> str:
    """Return the --help text of a program.

    Args:
        config: name of the program's configuration, e.g. inspect.
        width: of the terminal, in characters; None: as wide as it is.
    """
    width = min(width or shutil.get_terminal_size((100, 24)).columns, 120)
    text = _read_config(config)
    head, fields = _split_head(text)
    program = head.partition(":")[0]
    defaults = _defaults(text)
    base = "train" in defaults and config != "train"
    groups = (_defaults(_read_config("train")) if base else {}) | defaults
    applying = fields["Groups"].split() if "Groups" in fields else list(groups)
    own = settings_of(text)
    inherited = settings_of(_read_config("train")) if base else []
    if "paths" in applying:
        own += [one._replace(name=f"paths.{one.name}") for one in settings_of(_read_config("paths/default"))]
    choices = [
        Setting(name, groups.get(name) or "null", _option_names(name)) for name in applying if _option_names(name)
    ]
    words = fields.get("Often", "").split()
    needed = [one for one in own if one.value == "???"]
    often = [one for word in words for one in [*own, *inherited, *choices] if one.name == word and one not in needed]
    parts = [head]
    for title, some in (
        ("Needed", needed),
        ("Often used", often),
        ("Settings", [one for one in own if one not in [*needed, *often]]),
        ("Groups of settings, each chosen by a name", [one for one in choices if one not in often]),
    ):
        if some:
            parts.append(f"{title}:\n{_two_columns([(_name_and_value(one), one.comment) for one in some], width)}")
    if base and config in ("bench", "evaluate"):  # the others refuse what only a run has
        parts.append("The settings of hmlpe-train say which runs or people are meant; see its --help.")
    last = {"Exit codes": EXIT_CODES} | fields
    for name in ("Writes", "Exit codes", "More"):
        parts.append(textwrap.fill(f"{name}: {last[name]}", width, subsequent_indent="  "))
    parts.append(textwrap.fill(FOOT.format(program=program), width))
    return "\n\n".join(parts)


def top_level_names(config: str) -> list[str]:
    """Return the names of the groups and top-level settings that a program's configuration has.

    Args:
        config: name of the configuration, e.g. fit_box.
    """
    text = _read_config(config)
    groups = list(_defaults(text))
    inherited = top_level_names("train") if "train" in groups and config != "train" else []
    return sorted({*inherited, *groups, *(str(name) for name in yaml.safe_load(text) if name != "defaults")})


def _split_head(text: str) -> tuple[str, dict[str, str]]:
    """Split a file's first comment into its description and the fields (`Name: words`) that follow."""
    lines = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines()]
    count = next(index for index, line in enumerate(text.splitlines()) if not line.startswith("#"))
    told: list[str] = []
    fields: dict[str, str] = {}
    for line in lines[:count]:
        name, colon, words = line.partition(": ")
        if colon and name in ("Writes", "Groups", "Often", "Exit codes", "More"):
            fields[name] = words
        elif fields:
            fields[list(fields)[-1]] += " " + line.strip()
        else:
            told.append(line)
    return "\n".join(told).strip(), fields


def _read_config(config: str) -> str:
    """Return the text of the configuration file `<config>.yaml`."""
    return (CONFIGS / f"{config}.yaml").read_text("utf-8")


def _defaults(text: str) -> dict[str, str | None]:
    """Return the defaults list of a configuration file as a dict from config group to the option that is chosen.

    A configuration that is included without a group is a key with the value None. Those of shared/, and those that are
    put at another place (@), are left out.
    """
    found: dict[str, str | None] = {}
    for item in yaml.safe_load(text).get("defaults", []):
        if isinstance(item, dict):
            ((name, chosen),) = item.items()
            found[str(name).removeprefix("override ").partition("@")[0].lstrip("/")] = _choice_text(chosen)
        elif "@" not in item and item != "_self_" and "shared/" not in item:
            found[item] = None
    return found


def _choice_text(chosen: object) -> str:
    """Return an option of the defaults list as it is written on the command line: `null`, `name` or `[a,b]`."""
    return "null" if chosen is None else f"[{','.join(chosen)}]" if isinstance(chosen, list) else str(chosen)


def _option_names(group: str) -> str:
    """Return a group's options, separated by commas; empty if there are fewer than two."""
    names = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    return ", ".join(names) if len(names) > 1 else ""


def settings_of(text: str) -> list[Setting]:
    """Return the settings in a configuration file's text, in order, each with the comments beside or around it."""
    found: list[Setting] = []
    above: list[str] = []
    path: list[str] = []
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if not line.startswith("#"))  # after what the file is
    for line in lines[start:]:
        comment, match = _COMMENT.fullmatch(line), _SETTING.fullmatch(line)
        if comment is not None:
            if line.startswith("#") or not found:
                above.append(comment[1])
            else:
                found[-1] = found[-1]._replace(comment=f"{found[-1].comment} {comment[1]}".strip())
        elif match is not None:
            indent, name, value, words = match.groups()
            path[len(indent) // 2 :] = [name]
            if path[0] in ("defaults", "hydra") or name == "_target_":
                continue
            said = " ".join([*above, words or ""]).strip()
            above = []
            found.append(Setting(".".join(path), (value or "").strip(), said))
    inner = {one.name.rpartition(".")[0] for one in found}
    return [one for one in found if one.value or one.name not in inner]


def _name_and_value(setting: Setting) -> str:
    return setting.name if setting.value == "???" else f"{setting.name}={setting.value}"


def _two_columns(lines: list[tuple[str, str]], width: int) -> str:
    """Format pairs of a setting and its comment as two columns, with the comment wrapped at `width` characters."""
    left = min(max(len(name) for name, _ in lines), 34) + 4
    shown = []
    for name, words in lines:
        wrapped = textwrap.wrap(words, max(30, width - left))
        if len(name) > left - 4 or not wrapped:
            shown.append(f"  {name}")
        else:
            shown.append(f"  {name}".ljust(left) + wrapped.pop(0))
        shown += [" " * left + line for line in wrapped]
    return "\n".join(shown)

"""Make web pages that are one file each: fill templates, embed styles and scripts, and put JSON safely into scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

STYLE = Path(__file__).with_name("style.css")


def render(template: str, folders: Sequence[Path], context: Mapping[str, Any]) -> str:
    """Return a filled template, as HTML; values are escaped unless they are marked as HTML (`Markup`) already.

    Args:
        template: the template's file name.
        folders: the folders in which it is searched.
        context: the values for the template, by name.
    """
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context)


def read_as_markup(path: Path) -> Markup:
    """Read a file of a script or style sheet, and return its text marked as HTML, so that it is not escaped."""
    return Markup(path.read_text(encoding="utf-8"))


def script_safe_json(value: Any) -> Markup:
    """Return the value as JSON that can be put into an HTML script element: `<` is escaped.

    Otherwise, a `</` in a text could end the element, and a `<!--` could keep it from ending.

    >>> print(script_safe_json({"a": "</script>"}))
    {"a":"\\u003c/script>"}
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def data_uri(mime: str, content: bytes) -> str:
    """Return a data URI (a link that contains the content itself, in base64) of this MIME type."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"

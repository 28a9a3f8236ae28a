"""Pages in one file: templates filled, with the style that all share; what goes into a script cannot end it."""

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
    """A template of one of the folders; all texts are escaped, but for those that are marked as HTML already."""
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context)


def content_of(path: Path) -> Markup:
    """A script or style, as it stands in a page."""
    return Markup(path.read_text(encoding="utf-8"))


def as_json(value: Any) -> Markup:
    """For a script element, which `</` would end and `<!--` would not let end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def data_link(mime: str, content: bytes) -> str:
    """A link that holds what it links to."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"

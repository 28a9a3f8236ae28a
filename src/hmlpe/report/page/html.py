"""The template, filled: what goes into a script element cannot end it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent


def render(context: Mapping[str, Any]) -> str:
    """The page; all texts are escaped, but for those that are marked as HTML already."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(context)


def own_file(name: str) -> Markup:
    """A script or style that lies beside the template."""
    return Markup((HERE / name).read_text(encoding="utf-8"))


def as_json(value: Any) -> Markup:
    """For a script element, which `</` would end and `<!--` would not let end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; it takes seconds to bundle, so once a process."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")

"""Make the parts of the demo page that are plain HTML, with pictures and files embedded, so that no disk is needed."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from hmlpe.predict.estimator import ModelCard
from hmlpe.predict.people import FoundPerson

SHOWN_PX = 1600  # the longest side of a picture on the page: sharp on a screen, and quick to send

STYLE = """
.gradio-container {width: 100%; max-width: 1280px !important; margin: 0 auto !important}
.gradio-container .html-container {padding: 0}
/* gradio's own style hides the dot of a chosen radio button while the mouse is over it */
.gradio-container input[type=radio]:checked:hover {background-color: var(--checkbox-background-color-selected)}
.message {margin: 0; font-size: 1.1em; overflow-wrap: anywhere}
.message[role=alert] {padding: .5em .75em; border-left: 4px solid #c62828; background: rgb(198 40 40 / 12%)}
.hint {margin: 0; padding: 4em 1em; text-align: center; border: 1px dashed rgb(128 128 128 / 50%)}
a.poses {color: inherit; text-decoration: underline}
figure.picture {margin: 0; overflow-x: auto}
figure.picture img {display: block; max-width: 100%; max-height: 80vh; margin: 0 auto}
figure.maps {margin-bottom: 1em}
figure.maps img {width: 100%; min-width: 520px; max-width: none; max-height: none} /* a phone scrolls */
figure.picture figcaption, table.joints caption {text-align: left; font-weight: 600; padding: .25em 0}
table.joints {width: 100%; max-width: 640px; border-collapse: collapse; white-space: nowrap}
table.joints {font-variant-numeric: tabular-nums}
table.joints :is(th, td) {padding: .3em .5em; text-align: right; border-bottom: 1px solid rgb(128 128 128 / 35%)}
table.joints :is(th:first-child, tbody th) {padding-left: 0; text-align: left; font-weight: normal}
table.joints thead th {font-weight: 600 !important}
"""

Image = UInt8[np.ndarray, "height width 3"]


def message_html(text: str, is_error: bool = False) -> str:
    """Return a line of text, as HTML, that screen readers speak when it appears; errors are marked as such."""
    return f'<p class="message" role="{"alert" if is_error else "status"}">{escape(text)}</p>'


def hint_html() -> str:
    """Return the placeholder that is shown before the first photo, as HTML."""
    return '<p class="hint">The poses will appear here.</p>'


def figure_html(image: Image, alt: str, caption: str = "", css_class: str = "") -> str:
    """Return an HTML figure of a picture, as an embedded JPEG with sides of at most `SHOWN_PX`.

    Args:
        image: the picture, in RGB.
        alt: its description for screen readers.
        caption: the text above it; empty: none.
        css_class: a CSS class for the figure.
    """
    small, data = Pillow.fromarray(image), io.BytesIO()
    small.thumbnail((SHOWN_PX, SHOWN_PX))
    small.save(data, "JPEG", quality=92, subsampling=0)  # chroma subsampling would blur thin coloured lines
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="picture {css_class}" tabindex="0">{words}'
        f'<img alt="{escape(alt)}" src="{_data_uri("image/jpeg", data.getvalue())}"></figure>'
    )


def joint_table_html(person: FoundPerson, caption: str, card: ModelCard) -> str:
    """Return an HTML table of a person's joints: name, x and y in pixels of the upright photo, and confidence."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name.replace("_", " "))}</th><td>{x:.1f}</td><td>{y:.1f}</td>'
        f"<td>{f'{sure:.2f}' if np.isfinite(sure) else '–'}</td></tr>"
        for name, (x, y), sure in zip(card.skeleton.joints, person.joints_px, person.confidence, strict=True)
    )
    head = "".join(f'<th scope="col">{word}</th>' for word in ("joint", "x [px]", "y [px]", "confidence"))
    return (
        f'<table class="joints"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def json_link_html(content: bytes, photo_name: str) -> str:
    """Return an HTML link by which the browser saves the poses in a photo as a JSON file.

    Args:
        content: the content of the JSON file.
        photo_name: the photo's file name.
    """
    name = escape(f"{Path(photo_name).stem}.poses.json")
    link = _data_uri("application/json", content)
    return f'<a class="poses" download="{name}" href="{link}">Download the poses (json)</a>'


def _data_uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"

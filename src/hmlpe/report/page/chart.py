"""What the page's charts share: their size and look, and the signal by which rows are shown and hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt

SHOWN = "shown"  # the signal: names of the rows that are ticked in the page's list
IS_SHOWN = f"indexof({SHOWN}, datum.row) >= 0"
HEIGHT_PX = 260

# Colours of the page itself, so that a chart follows dark mode and print without being drawn anew.
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor", "gridColor"), "currentColor"),
        **{"gridOpacity": 0.13, "domainOpacity": 0.4, "tickOpacity": 0.4, "labelFontSize": 12, "titleFontSize": 12},
        **{"titleFontWeight": "normal", "titlePadding": 8},
    },
    "legend": {
        **{"labelColor": "currentColor", "titleColor": "currentColor", "orient": "top", "title": None},
        **{"labelFontSize": 12, "symbolSize": 80, "labelLimit": 240, "symbolOpacity": 1},
    },
}


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes:
        name: of the element that it is drawn into.
        title: above it.
        words: what it shows, for whoever does not see it.
        spec: Vega-Lite's.
    """

    name: str
    title: str
    words: str
    spec: Mapping[str, Any]


def data(values: Sequence[Mapping[str, Any]]) -> alt.Data:
    """Inline data."""
    return alt.Data(values=[dict(value) for value in values])  # type: ignore[no-untyped-call]


def finished(layers: Sequence[alt.Chart], rows: Sequence[str]) -> dict[str, Any]:
    """The specification of layers whose data have a field `row`, which the page's list of rows filters."""
    chart = alt.layer(*layers).properties(width="container", height=HEIGHT_PX)
    chart = chart.add_params(alt.param(name=SHOWN, value=list(rows)))
    spec = chart.to_dict(validate=False)  # that takes seconds, and a test does it
    spec["autosize"] = {"type": "fit", "contains": "padding"}
    spec.pop("config", None)  # the page's own is for all of them
    return dict(spec)


def rounded(value: float) -> float:
    """Five digits: what an eye can tell apart, and a small file."""
    return float(f"{value:.5g}")


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; it takes seconds to bundle, so once a process."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script")

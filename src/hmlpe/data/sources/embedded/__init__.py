"""Embedded data: clothed upper bodies drawn from a seed, so that every experiment runs without a download."""

from hmlpe.data.sources.embedded.source import EmbeddedSource
from hmlpe.data.sources.embedded.style import Style

__all__ = ["EmbeddedSource", "Style"]

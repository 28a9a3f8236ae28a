"""Embedded data: generated images of clothed upper bodies, so that every experiment runs without a download."""

from hmlpe.data.sources.embedded.source import EmbeddedSource
from hmlpe.data.sources.embedded.style import Style

__all__ = ["EmbeddedSource", "Style"]

"""Serving the page: by this machine, to it alone unless told otherwise, and no file stays."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hmlpe.address import url_of

if TYPE_CHECKING:
    from gradio import Blocks

SILENT = {  # gradio and its hub client report their use, and look for news, unless told not to when imported
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
PATIENCE_S = 1  # for requests under way when the program is to end
LARGEST = "200mb"  # that a photo may have


@contextmanager
def quiet_session() -> Iterator[None]:
    """Within it, gradio is imported without a word to the network, and its files lie in a folder that then goes."""
    before, handler = tempfile.tempdir, signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="hmlpe-demo-", ignore_cleanup_errors=True) as folder:
            tempfile.tempdir = folder  # uploads that are still on their way, too
            os.environ.update(SILENT, GRADIO_TEMP_DIR=folder)
            yield
    finally:
        tempfile.tempdir = before
        signal.signal(signal.SIGTERM, handler)


def serve(blocks: Blocks, style: str, held: socket.socket, open_browser: bool = False) -> None:
    """Serve the page until a signal ends the program; SIGINT then raises KeyboardInterrupt.

    Not by gradio's own `launch`: that one asks its own address by HTTP, through a proxy if the environment names one,
    and can open tunnels.
    """
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    host, port = held.getsockname()[:2]
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),  # its documentation would load scripts from elsewhere
        blocks,
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size=LARGEST,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=style,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=PATIENCE_S))
    url = url_of(held)
    print(f"the page is at {url} (Ctrl-C ends it)", flush=True)
    if open_browser:
        webbrowser.open(url)
    server.run(sockets=[held])

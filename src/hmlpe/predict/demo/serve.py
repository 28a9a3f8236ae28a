"""Serve the demo page, by default to browsers on this machine alone, and leave no files behind.

Nothing here imports gradio, which reads its settings, and makes its folders, when it is imported.
"""

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

NO_TELEMETRY = {  # unless this is set before their import, gradio and its hub client report usage and check for updates
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
SHUTDOWN_TIMEOUT_S = 1  # how long running requests may still take when the program is to end
MAX_UPLOAD = "200mb"  # the largest size of a photo's file


@contextmanager
def gradio_environment() -> Iterator[None]:
    """Let gradio be imported without any network access, and keep its files in a folder that is deleted at the end.

    Inside the `with` block SIGTERM raises SystemExit, so that the folder is deleted in that case, too.
    """
    before, handler = tempfile.tempdir, signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="hmlpe-demo-", ignore_cleanup_errors=True) as folder:
            tempfile.tempdir = folder  # unfinished uploads are in it, too
            os.environ.update(NO_TELEMETRY, GRADIO_TEMP_DIR=folder)
            yield
    finally:
        tempfile.tempdir = before
        signal.signal(signal.SIGTERM, handler)


def serve(blocks: Blocks, style: str, bound_socket: socket.socket, open_browser: bool = False) -> None:
    """Serve the page until a signal ends the program; SIGINT then raises KeyboardInterrupt.

    Gradio's own `launch` is not used: it sends HTTP requests to its own address, through a proxy if the environment
    names one, and can open tunnels.

    Args:
        blocks: the page.
        style: its CSS.
        bound_socket: the socket, already bound to its address and listening.
        open_browser: whether to open the page in a browser.
    """
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    host, port = bound_socket.getsockname()[:2]
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),  # no API documentation, as its page would load scripts from other servers
        blocks,
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size=MAX_UPLOAD,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=style,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S))
    url = url_of(bound_socket)
    print(f"the page is at {url} (Ctrl-C ends it)", flush=True)
    if open_browser:
        webbrowser.open(url)
    server.run(sockets=[bound_socket])

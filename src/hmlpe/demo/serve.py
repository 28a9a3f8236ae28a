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
from typing import TYPE_CHECKING, Any

from hmlpe.errors import UserError

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


def listen(host: Any, port: Any) -> socket.socket:
    """A socket that holds the address, and answers from `serve` on.

    Args:
        host: name or number of an interface of this machine.
        port: 0 or None: any that is free.

    Raises:
        UserError: the address is none, taken, forbidden, or not this machine's.
    """
    if not isinstance(host, str) or not host:  # else the program would answer everybody
        raise UserError(f"host: must be an address of this machine, such as 127.0.0.1, got {host!r}")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 2**16):
        raise UserError(f"port: must be a number from 0 (any that is free) to {2**16 - 1}, got {port!r}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # else an address stays taken for a minute after its last server
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)
            held.listen()
        except OSError:
            held.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot serve at {host}, port {port}: {reason}; port=0 takes any free port") from error
    return held


def url_of(held: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
    host, port = held.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


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

"""Serve the page of a study that is still running, to this machine only; it is rebuilt when results arrive."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from hmlpe.address import url_of
from hmlpe.errors import UserError
from hmlpe.files import digest_of
from hmlpe.report.published import Published
from hmlpe.report.runs import collect_runs
from hmlpe.report.write import render_text_files
from hmlpe.runs.result import Run

MIN_INTERVAL_S = 3.0  # minimum time between two requests of the page for its version, and between two builds
INTERVAL_FACTOR = 10  # the interval is at least this many times the time of a build, to leave the cores to training
WATCHED_FILES = ("*/result.json", "*/csv/**/metrics.csv", "*/people/*.npz")


class LivePage:
    """The page of the study in `folder`, built only when it is requested and something has changed. Writes no file.

    Args:
        folder: the study's folder; it need not exist yet.
        published: other methods' numbers, see `build_page`.
        clock: returns the time in seconds.
    """

    def __init__(self, folder: Path, published: Published, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.published, self._clock = folder, published, clock
        self._lock = Lock()
        self._built: tuple[str, bytes] = ("", b"")
        self._build_s = self._built_at = 0.0

    def version(self) -> str:
        """Return a text that changes with the results and curves, but not within `_interval_s` of a build."""
        made, _ = self._built
        return made if made and self._clock() < self._built_at + self._interval_s() else self._files_digest()

    def _interval_s(self) -> float:
        """Return the time in seconds between two requests or builds, which is longer if a build takes long."""
        return max(MIN_INTERVAL_S, INTERVAL_FACTOR * self._build_s)

    def _files_digest(self) -> str:
        """Return a digest of the times and sizes of the watched files, which changes when one of the files does."""
        found = {}
        for path in sorted(path for pattern in WATCHED_FILES for path in self.folder.glob(pattern)):
            try:
                state = path.stat()
            except FileNotFoundError:  # it was replaced meanwhile
                continue
            found[str(path.relative_to(self.folder))] = [state.st_mtime_ns, state.st_size]
        return digest_of(found)

    def html(self) -> bytes:
        """Return the current page as bytes; if the study cannot be shown, the page says why."""
        with self._lock:
            version = self.version()
            if version != self._built[0]:
                start = self._clock()
                self._built = version, self._build_html(version).encode()
                self._built_at = self._clock()
                self._build_s = self._built_at - start
            return self._built[1]

    def _build_html(self, version: str) -> str:
        """Build the page from the study's folder; `version` is the version that the page states."""
        from hmlpe.report.page import LiveSettings, build_page, build_waiting_page
        from hmlpe.report.study import study_of

        live, runs = LiveSettings(self._interval_s(), version), list[Run]()
        try:
            runs = collect_runs(self.folder)
            if not any(run.finished for run in runs):
                return build_waiting_page(self.folder.name, "No run is finished yet.", runs, live)
            study = study_of(runs)
            return build_page(study, render_text_files(study), self.published, live)
        except UserError as error:
            return build_waiting_page(self.folder.name, str(error), runs, live)


def watch(folder: Path, published: Published, bound_socket: socket.socket) -> None:
    """Serve the page of a running study until Ctrl-C.

    Args:
        folder: the study's folder.
        published: other methods' numbers, see `build_page`.
        bound_socket: the bound socket to serve on.
    """
    from hmlpe.report.page import vega_script

    page = LivePage(folder, published)

    class Handler(BaseHTTPRequestHandler):
        """Answers requests for the page and for its version."""

        def do_GET(self) -> None:
            """Send the page or its version, if the request names this machine as host; all else is an error."""
            if self.headers.get("Host", "").partition(":")[0] not in ("127.0.0.1", "localhost"):
                # The request comes from a foreign page whose host name was pointed at this machine.
                self.send_error(403)
            elif self.path == "/":
                self._send_content(page.html(), "text/html; charset=utf-8")
            elif self.path == "/version":
                self._send_content(page.version().encode(), "text/plain")
            else:
                self.send_error(404)

        def _send_content(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing, as the page sends a request every few seconds."""

    class Server(ThreadingHTTPServer):
        """A server on the socket that is already bound."""

        def __init__(self) -> None:
            super().__init__(bound_socket.getsockname(), Handler, bind_and_activate=False)
            self.socket.close()
            self.socket = bound_socket

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore lost connections, as a browser that has been closed is not an error."""
            import sys

            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)

    with Server() as server:
        print(f"the page of {folder} is at {url_of(bound_socket)} (Ctrl-C ends it)", flush=True)
        try:
            vega_script()  # takes seconds to load, which should not count as time to build the page
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended; hmlpe-report without watch=true writes the report's files", flush=True)

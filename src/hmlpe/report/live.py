"""The page of a study that is still running, served to this machine alone and made anew when results land."""

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
from hmlpe.report.runs import collect
from hmlpe.report.write import texts_of
from hmlpe.runs.result import Run

EVERY_S = 3.0  # at least, between two looks of the page, and two makings of it
SHARE = 10  # and so many times as long as the page takes to make, so that training keeps its cores
WATCHED = ("*/result.json", "*/csv/**/metrics.csv", "*/people/*.npz")


class LivePage:
    """The page of the study in `folder`, made only when it is asked for and something has changed. Writes nothing.

    Args:
        folder: of the study; it need not exist yet.
        published: see `build_page`.
        clock: seconds.
    """

    def __init__(self, folder: Path, published: Published, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.published, self._clock = folder, published, clock
        self._lock = Lock()
        self._made: tuple[str, bytes] = ("", b"")
        self._took_s = self._at = 0.0

    def version(self) -> str:
        """Another text whenever a result or a curve has changed, but not before a page of it may be made."""
        made, _ = self._made
        return made if made and self._clock() < self._at + self._every_s() else self._state()

    def _every_s(self) -> float:
        return max(EVERY_S, SHARE * self._took_s)

    def _state(self) -> str:
        found = {}
        for path in sorted(path for pattern in WATCHED for path in self.folder.glob(pattern)):
            try:
                state = path.stat()
            except FileNotFoundError:  # replaced while we look
                continue
            found[str(path.relative_to(self.folder))] = [state.st_mtime_ns, state.st_size]
        return digest_of(found)

    def html(self) -> bytes:
        """The page as of now; a study that cannot be shown is a page that says why."""
        with self._lock:
            version = self.version()
            if version != self._made[0]:
                start = self._clock()
                self._made = version, self._build(version).encode()
                self._at = self._clock()
                self._took_s = self._at - start
            return self._made[1]

    def _build(self, version: str) -> str:
        from hmlpe.report.page import Live, build_page, build_waiting
        from hmlpe.report.study import study_of

        live, runs = Live(self._every_s(), version), list[Run]()
        try:
            runs = collect(self.folder)
            if not any(run.finished for run in runs):
                return build_waiting(self.folder.name, "No run is finished yet.", runs, live)
            study = study_of(runs)
            return build_page(study, texts_of(study), self.published, live)
        except UserError as error:
            return build_waiting(self.folder.name, str(error), runs, live)


def watch(folder: Path, published: Published, held: socket.socket) -> None:
    """Serve the page until Ctrl-C."""
    from hmlpe.report.page import vega

    page = LivePage(folder, published)

    class Handler(BaseHTTPRequestHandler):
        """Two addresses: the page, and its version."""

        def do_GET(self) -> None:
            """Answer one of them, to who has asked this machine by name; nothing else is here."""
            if self.headers.get("Host", "").partition(":")[0] not in ("127.0.0.1", "localhost"):
                self.send_error(403)  # a foreign page that has its own name lead here
            elif self.path == "/":
                self._answer(page.html(), "text/html; charset=utf-8")
            elif self.path == "/version":
                self._answer(page.version().encode(), "text/plain")
            else:
                self.send_error(404)

        def _answer(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """The page asks every few seconds: not a line each time."""

    class Server(ThreadingHTTPServer):
        """On the socket that is held already."""

        def __init__(self) -> None:
            super().__init__(held.getsockname(), Handler, bind_and_activate=False)
            self.socket.close()
            self.socket = held

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A browser that has gone is no error of ours."""
            import sys

            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)

    with Server() as server:
        print(f"the page of {folder} is at {url_of(held)} (Ctrl-C ends it)", flush=True)
        try:
            vega()  # loads for seconds, which are not the page's own
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended; hmlpe-report without watch=true writes the report's files", flush=True)

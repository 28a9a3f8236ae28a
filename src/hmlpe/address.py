"""The network address of this machine at which a page is served."""

from __future__ import annotations

import os
import socket
from typing import Any

from hmlpe.errors import UserError


def listen(host: Any, port: Any) -> socket.socket:
    """Return a listening socket that is bound to the address; connections are answered once the server runs on it.

    Args:
        host: name or IP address of a network interface of this machine.
        port: port number; 0 or None takes any free port.

    Raises:
        UserError: the address is malformed, in use, forbidden, or not one of this machine's.
    """
    if not isinstance(host, str) or not host:  # an empty host would bind to all interfaces
        raise UserError(f"host: must be an address of this machine, such as 127.0.0.1, got {host!r}")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 2**16):
        raise UserError(f"port: must be a number from 0 (any free port) to {2**16 - 1}, got {port!r}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # otherwise an address stays in use for a minute after its last server
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


def url_of(server_socket: socket.socket) -> str:
    """Return the URL at which a browser on this machine reaches the server that listens on this socket."""
    host, port = server_socket.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

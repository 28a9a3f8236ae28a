"""The address, and what is left on the disk."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hmlpe.address import listen, url_of
from hmlpe.errors import UserError
from hmlpe.predict.demo.serve import gradio_environment


@pytest.mark.parametrize("port", [0, None])
def test_a_free_port_is_found(port: int | None) -> None:
    with listen("127.0.0.1", port) as held:
        assert held.getsockname()[0] == "127.0.0.1"
        assert url_of(held) == f"http://127.0.0.1:{held.getsockname()[1]}/"


def test_a_taken_port_is_one_line() -> None:
    with listen("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(UserError, match=rf"^cannot serve at 127.0.0.1, port {port}: .*in use.*port=0"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("127.0.0.1", 65536, "port: must be .* got 65536"),
        ("127.0.0.1", -1, "port: must be .* got -1"),
        ("127.0.0.1", "http", "port: must be .* got 'http'"),
        ("127.0.0.1", True, "port: must be .* got True"),
        ("", 0, "host: must be"),
        (None, 0, "host: must be"),
        ("no such host", 0, "cannot serve at no such host"),
        ("192.0.2.1", 0, "cannot serve at 192.0.2.1"),  # kept for documentation: nobody's
    ],
)
def test_an_address_that_cannot_be_is_one_line(host: object, port: object, says: str) -> None:
    with pytest.raises(UserError, match=f"^{says}") as caught:
        listen(host, port)
    assert "\n" not in str(caught.value)


def test_the_address_of_a_host_of_many_is_one_to_open() -> None:
    with listen("0.0.0.0", 0) as held:
        assert url_of(held).startswith("http://127.0.0.1:")


def has_ipv6() -> bool:
    """Whether a plain socket can listen there, so that a fault of `listen` fails instead of skipping."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trial:
            trial.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_has_its_brackets() -> None:
    with listen("::1", 0) as held:
        assert url_of(held).startswith("http://[::1]:")


def test_a_session_takes_its_files_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")  # and put back afterwards

    def until_the_signal() -> None:
        with gradio_environment():
            assert Path(os.environ["GRADIO_TEMP_DIR"]).parent == tmp_path
            with tempfile.NamedTemporaryFile(delete=False) as file:
                file.write(b"a photo")
            assert list(tmp_path.rglob("*")) != []
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as caught:
        until_the_signal()
    assert caught.value.code == 143
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)


def test_gradio_is_not_imported_before_the_session() -> None:
    """It reads its settings, and makes folders, when it is imported."""
    code = "import sys, hmlpe.cli.demo, hmlpe.predict.demo.serve; print('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

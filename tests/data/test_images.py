"""What lies under an image's name may be anything: it is read whole, or refused in one line, and nothing hangs."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hmlpe.data.sources.images import image_size, read_image

from .own_sets import CLIMBING, changed_bytes, outcome, refused, write_images


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header says so, and that holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30000, 30000), (10000, 10000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)])
def test_a_claim_to_be_huge_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    (tmp_path / "x.png").write_bytes(claiming(*size))
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with refused(str(tmp_path / "x.png")):
        read_image(tmp_path, "x.png")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a pipe", "link to a device", "loop", "nowhere"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "x.png", tmp_path / "pipe"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        tmp_path, path = Path("/dev"), Path("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo(other)
        path.symlink_to(other)
    else:
        path.symlink_to({"link to a device": "/dev/zero", "loop": path, "nowhere": tmp_path / "gone.png"}[kind])
    with refused(str(path)):
        read_image(tmp_path, path.name)
    if kind in ("loop", "nowhere"):  # there is no file
        assert image_size(tmp_path, path.name) is None
    else:
        with refused(str(path)):
            image_size(tmp_path, path.name)


def test_a_link_to_an_image_is_read(tmp_path: Path) -> None:
    write_images(tmp_path / "store", "a.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.png").symlink_to(tmp_path / "store" / "a.png")
    assert read_image(tmp_path / "images", "x.png").shape == (4, 6, 3)


@pytest.mark.parametrize("name", [*CLIMBING, "long" * 80, "long/" * 2000, "a.png/b.png"])
def test_names_that_lead_nowhere(tmp_path: Path, name: str) -> None:
    write_images(tmp_path, "a.png", "images/a.png")
    with refused():
        read_image(tmp_path / "images", name)


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"]
)
def test_what_is_no_photo_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with refused("x.jpg"):
        read_image(tmp_path, "x.jpg")
    with refused("x.jpg", "not a whole image"):
        image_size(tmp_path, "x.jpg")


def test_deep_greys_are_refused_as_they_would_turn_white(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 3000, np.uint16)).save(tmp_path / "x.png")
    with refused("x.png", "8 bits"):
        read_image(tmp_path, "x.png")


def test_size_is_the_headers(tmp_path: Path) -> None:
    write_images(tmp_path, "a.jpg", size=(31, 17))
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[:-3])
    assert image_size(tmp_path, "a.jpg") == (31, 17)
    assert image_size(tmp_path, "b.jpg") is None


@pytest.fixture(scope="module", params=["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def photo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, request.param)
    return tmp_path_factory.mktemp("photo") / "x.jpg", stream.getvalue()


@given(data=st.data())
def test_a_damaged_photo_is_an_image_or_refused(photo: tuple[Path, bytes], data: st.DataObject) -> None:
    path, whole = photo
    path.write_bytes(data.draw(changed_bytes(whole)))
    image = outcome(lambda: read_image(path.parent, path.name), str(path))
    assert image is None or (image.dtype == np.uint8 and image.ndim == 3)

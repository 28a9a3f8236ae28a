"""What lies under an image's name may be anything: it is read whole, or refused in one line, and nothing hangs."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hmlpe.data.sources.images import UNSUPPORTED, image_size, read_image
from hmlpe.errors import UserError

from .own_sets import CLIMBING, changed_bytes, outcome, refused, write_images


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header says so, and that holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30000, 30000), (20000, 14000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)])
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


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("upright", [False, True])
def test_deep_greys_keep_their_upper_8_bits(tmp_path: Path, suffix: str, upright: bool) -> None:
    deep = np.array([[0, 255, 256], [3000, 32768, 65535]], np.uint16)
    assert cv2.imwrite(str(tmp_path / f"x.{suffix}"), deep)
    grey = [[0, 0, 1], [11, 128, 255]]
    assert np.array_equal(read_image(tmp_path, f"x.{suffix}", upright), np.repeat(np.array(grey)[..., None], 3, axis=2))


@pytest.mark.parametrize(("suffix", "rounded"), [("png", 0), ("tif", 0), ("ppm", 1)])  # Pillow rounds a PPM's
def test_deep_colours_keep_their_upper_8_bits(tmp_path: Path, suffix: str, rounded: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (4, 6, 3), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / f"x.{suffix}"), deep[..., ::-1])
    assert np.abs(read_image(tmp_path, f"x.{suffix}").astype(int) - (deep >> 8)).max() <= rounded


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_what_has_no_known_white_is_refused(tmp_path: Path, kind: type[np.generic]) -> None:
    Image.fromarray(np.full((4, 6), 3000, kind)).save(tmp_path / "x.tif")
    with refused("x.tif", "16 bits"):
        read_image(tmp_path, "x.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_what_is_transparent_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    """The colour under full transparency is anything, often black; half of it is half white."""
    alpha = Image.fromarray(np.array([[0, 255, 128]], np.uint8))
    image = Image.merge("LA", [Image.new("L", (3, 1), 40), alpha]).convert("RGBA")
    if mode == "P":
        image = Image.new("P", (3, 1), 1)
        image.putpalette([0, 0, 0, 40, 40, 40])
        image.putpixel((0, 0), 0)
        image.save(tmp_path / "x.png", transparency=0)
    else:
        image.convert(mode).save(tmp_path / ("x.tif" if mode == "PA" else "x.png"))
    (name,) = (path.name for path in tmp_path.iterdir())
    seen = read_image(tmp_path, name)
    assert seen[0, :2].tolist() == [[255] * 3, [40] * 3]
    assert mode == "P" or abs(int(seen[0, 2, 0]) - 147) <= 1


def test_printers_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "x.jpg")  # cyan
    assert read_image(tmp_path, "x.jpg")[4, 4].tolist() == [0, 255, 255]


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path, "x.gif")[2, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_upright(tmp_path: Path, turn: int, mode: str) -> None:
    """As Pillow's own viewer turns it, in grey of 16 bits too."""
    grey = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2560
    stored = Image.fromarray(grey) if mode == "I;16" else Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = turn
    stored.save(tmp_path / "x.png", exif=exif)
    moved = {
        1: grey,
        2: grey[:, ::-1],
        3: grey[::-1, ::-1],
        4: grey[::-1],
        5: grey.T,
        6: grey[::-1].T,
        7: grey[::-1, ::-1].T,
        8: grey.T[::-1],
    }[turn]
    assert np.array_equal(read_image(tmp_path, "x.png", upright=True)[..., 0], moved >> 8)
    assert np.array_equal(read_image(tmp_path, "x.png")[..., 0], grey >> 8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_upright_in_any_format(tmp_path: Path, suffix: str, mode: str) -> None:
    """Pillow turns a TIFF by itself, and takes its width for its height where it maps the file into memory."""
    left = Image.new("L", (32, 16), 10)
    left.paste(240, (16, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left is the top
    whole = left.convert(mode if (mode, suffix) != ("RGBA", "jpg") else "RGB")
    whole.save(tmp_path / f"x.{suffix}", exif=exif, **({} if suffix == "tif" else {"quality": 95}))
    seen = read_image(tmp_path, f"x.{suffix}", upright=True)[..., 0].astype(int)
    assert seen.shape == (32, 16) and abs(seen[:14] - 10).max() < 9 and abs(seen[18:] - 240).max() < 9


# EXIF as phones write it: name, type, count and bytes of a tag, or its place in the data where that is elsewhere

RATIONAL, SIGNED, NOWHERE = 5, 10, 2**31
TAGS: dict[str, tuple[int, int, int, bytes | int]] = {
    "BrightnessValue -1/0": (0x9203, SIGNED, 1, struct.pack(">ii", -1, 0)),
    "XResolution 0/0": (0x011A, RATIONAL, 1, bytes(8)),
    "XResolution text": (0x011A, 2, 3, b"72\0"),
    "ResolutionUnit text": (0x0128, 2, 5, b"inch\0"),
    "ResolutionUnit rational": (0x0128, RATIONAL, 1, struct.pack(">II", 2, 1)),
    "ResolutionUnit of no type": (0x0128, 99, 1, b"\0\2"),
    "Make of numbers": (0x010F, 3, 2, struct.pack(">HH", 1, 2)),
    "Make of a rational": (0x010F, RATIONAL, 1, struct.pack(">II", 1, 0)),
    "Make nowhere": (0x010F, 2, 2000, NOWHERE),
    "Make too long": (0x010F, 2, 2**31, 8),
    "IFD nowhere": (0x8769, 4, 1, NOWHERE),
    "IFD in itself": (0x8769, 4, 1, 8),
    "IFD of text": (0x8769, 2, 4, b"Exif"),
    "GPS nowhere": (0x8825, 4, 1, NOWHERE),
    "Interoperability nowhere": (0xA005, 4, 1, NOWHERE),
}


def exif_of(*tags: tuple[int, int, int, bytes | int], order: str = ">", following: int = 0) -> bytes:
    """EXIF data of these tags alone, as they are given."""
    entries, data, end = b"", b"", 8 + 2 + 12 * len(tags) + 4
    for tag, kind, count, value in sorted(tags, key=lambda one: one[0]):
        entries += struct.pack(f"{order}HHI", tag, kind, count)
        if isinstance(value, bytes) and len(value) <= 4:
            entries += value.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", value if isinstance(value, int) else end + len(data))
            data += b"" if isinstance(value, int) else value
    start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(tags))
    return b"Exif\0\0" + start + entries + struct.pack(f"{order}I", following) + data


TURNED = (0x0112, 3, 1, b"\0\6")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("odd", TAGS)
def test_what_else_exif_says_costs_no_photo(tmp_path: Path, odd: str, suffix: str) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / f"x.{suffix}", exif=exif_of(TURNED, TAGS[odd]))
    assert read_image(tmp_path, f"x.{suffix}", upright=True).shape == (6, 4, 3)
    assert read_image(tmp_path, f"x.{suffix}").shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("exif", "turned"),
    [
        (exif_of(TURNED), True), (exif_of((0x0112, 3, 1, b"\6\0"), order="<"), True),
        (exif_of((0x0112, 4, 1, b"\0\0\0\6")), True), (exif_of((0x0112, 1, 1, b"\6")), True),
        (exif_of((0x0112, 2, 2, b"6\0")), True), (exif_of(TURNED, following=NOWHERE), True),
        (exif_of(TURNED)[:26], True), (exif_of((0x0112, 3, 1, b"\0\x09")), False), (exif_of(), False),
        (exif_of((0x0112, 3, 1, bytes(2))), False), (b"Exif\0\0", False), (b"Exif\0\0MM\0*\xff\xff\xff\xff", False),
        (b"Exif\0\0nothing of the kind", False),
    ],
)  # fmt: skip
def test_the_orientation_is_read_or_is_none(tmp_path: Path, exif: bytes, turned: bool) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path, "x.jpg", upright=True).shape == ((6, 4, 3) if turned else (4, 6, 3))


# What phones make


def test_a_photo_of_108_megapixels_is_read(tmp_path: Path) -> None:
    image = Image.new("L", (12000, 9000), 40)
    image.paste(200, (6000, 0, 12000, 9000))
    image.save(tmp_path / "x.jpg", quality=30)
    seen = read_image(tmp_path, "x.jpg", upright=True)
    assert seen.shape == (9000, 12000, 3) and abs(seen[10, [5000, 7000], 0].astype(int) - [40, 200]).max() < 3


@pytest.mark.parametrize(
    ("name", "start", "kind"),
    [
        ("x.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), ("x.heif", b"\0\0\0\x18ftypmif1", "HEIC"),
        ("x.jpg", b"\0\0\0\x18ftypheix", "HEIC"), ("x.avif", b"\0\0\0\x1cftypavif", "AVIF"),
        ("x.cr3", b"\0\0\0\x18ftypcrx ", "raw"), ("x.jpg", b"\0\0\0\x18ftypmp42", "a video"),
        ("x.jxl", b"\xff\x0a", "JPEG XL"), ("x.jp2", b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        ("x.pdf", b"%PDF-1.7", "PDF"),
    ],
)  # fmt: skip
def test_another_format_is_named(tmp_path: Path, name: str, start: bytes, kind: str) -> None:
    """It is whole, and fetching it again would not help."""
    (tmp_path / name).write_bytes(start + bytes(99))
    with refused(f"{name}: {kind}, which is not a supported image format", "save it as JPEG or PNG"):
        read_image(tmp_path, name)
    with pytest.raises(UserError, match=r"^((?!fetch).)*$"):
        image_size(tmp_path, name)


def test_a_text_is_not_told_to_be_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(
        UserError, match=r"notes\.txt: not a whole image in a supported format \(JPEG, PNG, [^;]*; save"
    ):
        read_image(tmp_path, "notes.txt")


def test_a_tiff_of_floats_is_not_told_to_be_saved_as_tiff(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.tif"), np.zeros((4, 6, 3), np.float32))
    with refused("deep.tif: an unsupported kind of TIFF", "save it with 8 or 16 bits"):
        read_image(tmp_path, "deep.tif")
    (tmp_path / "none.jpg").touch()
    with refused("none.jpg: empty"):
        read_image(tmp_path, "none.jpg")


def test_a_preview_is_not_taken_for_a_raw_photo(tmp_path: Path) -> None:
    """Cameras' raw files are TIFFs, whose first page is a stamp of the photo."""
    for name in ("x.dng", "x.NEF"):
        Image.new("RGB", (6, 4)).save(tmp_path / name, "TIFF")
        with refused(name, "raw file", "preview"):
            read_image(tmp_path, name)
    Image.new("RGB", (6, 4)).save(tmp_path / "x.heic", "JPEG")  # as some phones name what they send
    assert read_image(tmp_path, "x.heic").shape == (4, 6, 3) and ".heic" in UNSUPPORTED


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

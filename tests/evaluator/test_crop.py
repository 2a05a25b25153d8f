"""From a file to the square: torchvision's own pixels, every odd format, every reason for which a
file is refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from torchvision import transforms

from evaluator.crop import centre_square, crop_mask, open_hashed, open_square, size_of
from evaluator.errors import ImageUnreadable
from evaluator.records import Preprocessing
from evaluator.sources import folder
from evaluator.sources.folder import FollowedFolder

USUAL = Preprocessing()
SIDE = USUAL.side


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values[:, :, 0] if channels == 1 else values)


def saved(root: Path, image: Image.Image, name: str, **options: object) -> bytes:
    image.save(root / name, **options)  # type: ignore[arg-type]  # the options of a dozen formats
    return name.encode()


def array(
    image: Image.Image | np.ndarray[Any, Any],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image)


@pytest.mark.parametrize("resize", [224, 256])
@pytest.mark.parametrize(
    "size",
    [
        (500, 375),
        (375, 500),
        (333, 333),
        (224, 224),
        (100, 60),
        (60, 101),
        (257, 256),
        (225, 500),
        (227, 224),
    ],
)
def test_the_same_pixels_as_torchvision(size: tuple[int, int], resize: int) -> None:
    expected = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(SIDE)])(
        noise(*size)
    )
    found = centre_square(noise(*size), Preprocessing(resize=resize))
    assert found.size == (SIDE, SIDE)
    assert np.array_equal(array(found), array(expected))


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (suffix, mode)
        for suffix in ("jpg", "tiff", "png", "webp", "bmp", "gif")
        for mode in ("RGB", "L", "1")
    ]
    + [(suffix, mode) for suffix in ("jpg", "tiff") for mode in ("CMYK", "YCbCr")],
)
def test_every_mode_becomes_rgb(tmp_path: Path, suffix: str, mode: str) -> None:
    found = open_square(
        tmp_path, saved(tmp_path, noise(300, 240).convert(mode), f"image.{suffix}"), USUAL
    )
    assert (found.mode, found.size) == ("RGB", (SIDE, SIDE))
    assert 100 < array(found).mean() < 156, "neither black nor inverted"


def test_grey_is_three_equal_channels(tmp_path: Path) -> None:
    pixels = array(open_square(tmp_path, saved(tmp_path, noise(224, 224, 1), "grey.png"), USUAL))
    assert np.array_equal(pixels[:, :, 0], array(noise(224, 224, 1)))
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 224 * 224).reshape(224, 224).astype(np.uint16)
    pixels = array(
        open_square(tmp_path, saved(tmp_path, Image.fromarray(values), "deep.png"), USUAL)
    )[:, :, 0]
    assert np.abs(pixels.astype(int) - values // 256).max() <= 1


def ramp(least: float, most: float, kind: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Values over a range, ``[224, 224]``, dark above and bright below."""
    return np.linspace(least, most, SIDE * SIDE).reshape(SIDE, SIDE).astype(kind)


SHADES = np.linspace(0, 255, SIDE * SIDE).reshape(SIDE, SIDE)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("most", "kind", "suffix"),
    [
        (1, "float32", "tiff"),
        (1, "float32", "pfm"),
        (255, "float32", "tiff"),
        (255, "int32", "tiff"),
        (65535, "int32", "tiff"),
        (65535, "uint16", "tiff"),
        (65535, ">u2", "tiff"),
        (65535, "uint16", "png"),
        (65535, "uint16", "pgm"),
        (20000, "uint16", "png"),
    ],
)
def test_grey_of_more_bits_is_read_by_its_range(
    tmp_path: Path, most: int, kind: str, suffix: str, channels: int
) -> None:
    values = ramp(0, most, kind)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    pixels = array(
        open_square(tmp_path, f"deep.{suffix}".encode(), Preprocessing(channels=channels))
    )
    full = 65535 if kind.endswith(("u2", "16")) else most
    expected = SHADES * most / full
    assert pixels.shape == ((SIDE, SIDE, 3) if channels == 3 else (SIDE, SIDE))
    grey = pixels[:, :, 0] if channels == 3 else pixels
    assert np.abs(grey - expected).max() <= 1


def tiff(values: np.ndarray[Any, Any], *, bits: int, photometric: int) -> bytes:
    """A TIFF of one strip with any number of bits, packed from the most significant on."""
    if bits == 12:
        high, low = values.reshape(-1, 2).astype(np.uint16).T
        packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], 1)
        data = packed.astype(np.uint8).tobytes()
    else:
        data = values.tobytes()
    form = 3 if values.dtype.kind == "f" else 1
    height, width = values.shape
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, form),
    ]
    table = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries
    )
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + table + bytes(4)


@pytest.mark.parametrize(
    ("kind", "most", "bits"), [("uint16", 4095, 12), ("uint16", 65535, 16), ("float32", 1, 32)]
)
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_tiff_says_its_bits_and_which_end_is_white(
    tmp_path: Path, kind: str, most: int, bits: int, white_is_zero: bool
) -> None:
    if bits == 12 and white_is_zero:
        pytest.skip("Pillow does not open it")
    content = tiff(ramp(0, most, kind), bits=bits, photometric=0 if white_is_zero else 1)
    (tmp_path / "deep.tiff").write_bytes(content)
    pixels = array(open_square(tmp_path, b"deep.tiff", USUAL))[:, :, 0]
    expected = 255 - SHADES if white_is_zero else SHADES
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize(
    ("least", "most", "kind", "suffix", "words"),
    [
        (-1, 1, "float32", "tiff", "from -1 to 1; save it with 8 bits a channel"),
        (0, 65535, "float32", "tiff", "from 0 to 65535; save"),
        (0, 255.6, "float32", "tiff", "from 0 to 255.6; save"),
        (0, 1.2, "float32", "tiff", "from 0 to 1.2, nearly black where 255 is white; save it"),
        (0, 0.01, "float32", "tiff", "from 0 to 0.01, nearly black where 1 is white"),
        (0, np.inf, "float32", "tiff", "inf; save"),
        (0, np.nan, "float32", "tiff", "nan; save"),
        (-5, 255, "int32", "tiff", "from -5 to 255; save"),
        (0, 70000, "int32", "tiff", "from 0 to 70000; save"),
        (0, 1, "int32", "tiff", "from 0 to 1, nearly black where 255 is white"),
        (0, 4095, "int32", "tiff", "from 0 to 4095, nearly black where 65535 is white"),
        (0, 255, "uint16", "tiff", "from 0 to 255, nearly black where 65535 is white"),
        (0, 4095, "uint16", "png", "from 0 to 4095, nearly black where 65535 is white"),
        (0, 255, "uint16", "pgm", "from 0 to 255, nearly black where 65535 is white"),
    ],
)
def test_grey_that_would_be_black_or_clipped_is_refused(
    tmp_path: Path, least: float, most: float, kind: str, suffix: str, words: str
) -> None:
    values = ramp(least, most if np.isfinite(most) else 1, kind)
    values[-1, -1] = most
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    with pytest.raises(ImageUnreadable, match=words) as caught:
        open_square(tmp_path, f"deep.{suffix}".encode(), USUAL)
    assert caught.value.reason == "value-range"


def test_black_in_any_reading_is_black(tmp_path: Path) -> None:
    for kind, suffix in (("float32", "tiff"), ("int32", "tiff"), ("uint16", "png")):
        Image.fromarray(ramp(0, 0, kind)).save(tmp_path / f"black.{suffix}")
        assert not array(open_square(tmp_path, f"black.{suffix}".encode(), USUAL)).any()


def rgb16(values: np.ndarray[Any, Any]) -> bytes:
    """A PNG of three channels of 16 bits."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in np.repeat(values[:, :, None], 3, 2))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")]
    )


def test_colours_of_twelve_bits_in_sixteen_are_refused_too(tmp_path: Path) -> None:
    (tmp_path / "full.png").write_bytes(rgb16(ramp(0, 65535, ">u2")))
    (tmp_path / "twelve.png").write_bytes(rgb16(ramp(0, 4095, ">u2")))
    assert np.abs(array(open_square(tmp_path, b"full.png", USUAL))[:, :, 1] - SHADES).max() <= 1
    with pytest.raises(ImageUnreadable, match="below 4096, which is nearly black"):
        open_square(tmp_path, b"twelve.png", USUAL)


def test_a_picture_that_is_nothing_but_transparency_is_refused(tmp_path: Path) -> None:
    """A black drawing on clear ground: dropped as it is, the image would be black."""
    drawing = Image.new("RGBA", (SIDE, SIDE), "black")
    drawing.putalpha(noise(SIDE, SIDE, 1))
    for number, image in enumerate((drawing, drawing.convert("LA"))):
        name = saved(tmp_path, image, f"{number}.png")
        with pytest.raises(ImageUnreadable, match="its picture is its transparency"):
            open_square(tmp_path, name, USUAL)


def test_colours_that_pillow_does_not_convert_are_refused_by_name(tmp_path: Path) -> None:
    name = saved(tmp_path, Image.new("LAB", (SIDE, SIDE)), "lab.tiff")
    with pytest.raises(ImageUnreadable, match="CIE Lab; save it as RGB") as caught:
        open_square(tmp_path, name, USUAL)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_dropped(tmp_path: Path, mode: str) -> None:
    """As ``Image.convert('RGB')`` does, and so every ImageNet loader: the hidden colour shows."""
    if mode == "P":
        image = Image.new("P", (224, 224), 0)
        image.putpalette([200, 100, 50] * 256)
        name = saved(tmp_path, image, "clear.png", transparency=0)
        expected = [200, 100, 50]
    else:
        image = Image.new("RGBA", (224, 224), (90, 90, 90, 0)).convert(mode)
        name, expected = saved(tmp_path, image, "clear.png"), [90, 90, 90]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert array(open_square(tmp_path, name, USUAL))[5, 5].tolist() == expected


def test_an_animation_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (224, 224), colour) for colour in ("red", "blue")]
    name = saved(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    assert array(open_square(tmp_path, name, USUAL))[0, 0].tolist() == [255, 0, 0]


def test_orientation_of_the_camera_is_not_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (224, 224), "black")
    image.paste((255, 255, 255), (0, 0, 112, 224))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    pixels = array(open_square(tmp_path, saved(tmp_path, image, "turned.png", exif=exif), USUAL))
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    noise(224, 224).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "called.jpg")
    assert np.array_equal(
        array(open_square(tmp_path, b"called.jpg", USUAL)), array(noise(224, 224))
    )


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    noise(224, 224).save(tmp_path / "plain.png")
    os.rename(tmp_path / "plain.png", os.fsencode(tmp_path) + b"/\xff\x80.png")
    assert open_square(tmp_path, b"\xff\x80.png", USUAL).size == (SIDE, SIDE)


def test_a_link_inside_the_root_is_followed(tmp_path: Path) -> None:
    saved(tmp_path, noise(224, 224), "real.png")
    (tmp_path / "link.png").symlink_to("real.png")
    assert open_square(tmp_path, b"link.png", USUAL).size == (SIDE, SIDE)


def test_a_root_that_is_itself_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    saved(tmp_path / "real", noise(224, 224), "x.png")
    (tmp_path / "root").symlink_to("real")
    assert open_square(tmp_path / "root", b"x.png", USUAL).size == (SIDE, SIDE)


# -- what is refused
# --------------------------------------------------------------------------------------------------


def png() -> bytes:
    stream = io.BytesIO()
    noise(240, 240).save(stream, "PNG")
    return stream.getvalue()


def jpeg() -> bytes:
    stream = io.BytesIO()
    noise(240, 240).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"this is text", "not-an-image"),
        (b"", "not-an-image"),
        (b"%PDF-1.7\n", "not-an-image"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
            "not-an-image",
        ),  # EPS would run Ghostscript
        (png()[:5000], "truncated"),
        (jpeg()[:5000], "truncated"),
        (png()[:20] + b"\0" * 200, "not-an-image"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(ImageUnreadable) as caught:
        open_square(tmp_path, b"bad.jpg", USUAL)
    assert caught.value.reason == reason
    assert caught.value.message


def huge_header(width: int, height: int) -> bytes:
    """A valid header of a large image without its pixels."""
    return b"P5 %d %d 255\n" % (width, height)


@pytest.mark.parametrize(
    ("width", "height"), [(10_000, 9_500), (10_001, 10_000), (100_000, 100_000)]
)
def test_too_many_pixels(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "huge.pgm").write_bytes(huge_header(width, height))
    with pytest.raises(ImageUnreadable) as caught:
        open_square(tmp_path, b"huge.pgm", USUAL)
    assert caught.value.reason == "too-large"


@pytest.mark.parametrize("size", [(1, 200_000), (200_000, 1)])
def test_a_strip_that_would_grow_beyond_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    """A file of a kilobyte: 1 × 200 000 pixels would become 224 × 44 800 000."""
    with pytest.raises(ImageUnreadable) as caught:
        open_square(tmp_path, saved(tmp_path, Image.new("L", size), "strip.png"), USUAL)
    assert caught.value.reason == "too-large"


def make_missing(root: Path) -> bytes:
    return b"nowhere.png"


def make_dangling(root: Path) -> bytes:
    (root / "dangling.png").symlink_to("nowhere")
    return b"dangling.png"


def make_circle(root: Path) -> bytes:
    (root / "circle.png").symlink_to("circle.png")
    return b"circle.png"


def make_folder(root: Path) -> bytes:
    (root / "folder.png").mkdir()
    return b"folder.png"


def make_pipe(root: Path) -> bytes:
    os.mkfifo(root / "pipe.png")
    return b"pipe.png"


def make_outside(root: Path) -> bytes:
    noise(10, 10).save(root.parent / "outside.png")
    (root / "link.png").symlink_to(root.parent / "outside.png")
    root.chmod(0o777)
    return b"link.png"


def make_device(root: Path) -> bytes:
    (root / "device.png").symlink_to("/dev/null")
    return b"device.png"


def make_dots(root: Path) -> bytes:
    noise(10, 10).save(root.parent / "outside.png")
    return b"../outside.png"


def make_absolute(root: Path) -> bytes:
    return b"/etc/hostname"


def make_sibling(root: Path) -> bytes:
    other = root.parent / f"{root.name}-other"
    other.mkdir()
    noise(10, 10).save(other / "x.png")
    return f"../{other.name}/x.png".encode()


def make_zero_byte(root: Path) -> bytes:
    return b"a\0b.png"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_missing, "missing"),
        (make_dangling, "missing"),
        (make_circle, "missing"),
        (make_zero_byte, "missing"),
        (make_folder, "not-a-file"),
        (make_pipe, "not-a-file"),
        (make_outside, "outside-root"),
        (make_device, "not-a-file" if os.geteuid() == 0 else "outside-root"),
        (make_dots, "outside-root"),
        (make_absolute, "outside-root"),
        (make_sibling, "outside-root"),
    ],
)
def test_what_is_not_a_file_of_the_data_set(
    tmp_path: Path, make: Callable[[Path], bytes], reason: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(ImageUnreadable) as caught:
        open_square(root, make(root), USUAL)
    assert caught.value.reason == reason


LINKED = {
    "link.png": "../outside.png",
    "chain.png": "link.png",
    "blob.png": "../blobs/0a1b",
    "folder/x.png": "../../outside.png",
}


@pytest.mark.parametrize("name", LINKED)
def test_links_that_the_user_has_made_are_followed(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    for place in ("outside.png", "blobs/0a1b"):
        noise(240, 240).save(tmp_path / place, format="PNG")
    for link, target in LINKED.items():
        (root / link).symlink_to(target)
    assert open_square(root, os.fsencode(name), USUAL).size == (SIDE, SIDE)


NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="files of another user")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda root: root.chmod(0o777), "a link in a folder that others can write"),
        (lambda root: root.chmod(0o775), "a link in a folder that others can write"),
        pytest.param(
            lambda root: os.chown(root, 12345, -1),
            "a link in a folder of another user",
            marks=NEEDS_ROOT,
        ),
        pytest.param(
            lambda root: os.chown(root.parent / "outside.png", 12345, -1),
            "a link to what belongs to another user",
            marks=NEEDS_ROOT,
        ),
    ],
)
def test_links_that_others_may_have_laid_are_followed_where_it_is_said(
    tmp_path: Path, change: Callable[[Path], None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_is_private", lambda _: False)
    root = tmp_path / "root"
    root.mkdir()
    noise(240, 240).save(tmp_path / "outside.png")
    (root / "link.png").symlink_to("../outside.png")
    change(root)
    with pytest.raises(ImageUnreadable) as caught:
        open_square(root, b"link.png", USUAL)
    assert caught.value.reason == "outside-root"
    assert caught.value.message == f"{why}, which is not followed without --follow-links"
    assert open_square(FollowedFolder(root), b"link.png", USUAL).size == (SIDE, SIDE)
    for path in (b"../outside.png", b"/etc/hostname"):
        with pytest.raises(ImageUnreadable, match="leaves the data folder"):
            open_square(FollowedFolder(root), path, USUAL)


@pytest.mark.parametrize(
    ("target", "reason", "why"),
    [
        ("nowhere", "missing", "a link to nothing: nowhere"),
        ("x.png", "missing", "a link that leads round in a circle"),
        ("/dev/null", "not-a-file", "a link to what is not a regular file"),
    ],
)
def test_a_link_is_said_to_be_one(tmp_path: Path, target: str, reason: str, why: str) -> None:
    (tmp_path / "x.png").symlink_to(target)
    with pytest.raises(ImageUnreadable) as caught:
        open_square(FollowedFolder(tmp_path), b"x.png", USUAL)
    assert (caught.value.reason, caught.value.message) == (reason, why)


def test_a_file_that_has_changed_since_the_manifest(tmp_path: Path) -> None:
    name = saved(tmp_path, noise(240, 240), "x.png")
    size = (tmp_path / "x.png").stat().st_size
    assert open_square(tmp_path, name, USUAL, size).size == (SIDE, SIDE)
    with pytest.raises(ImageUnreadable) as caught:
        open_square(tmp_path, name, USUAL, size + 1)
    assert caught.value.reason == "changed"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    name = saved(tmp_path, noise(240, 240), "x.png")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(ImageUnreadable) as caught:
        open_square(tmp_path, name, USUAL)
    assert caught.value.reason == "permission"


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (224, 224), (100, 60), (896, 448)])
@pytest.mark.parametrize("resize", [224, 256])
def test_a_mask_is_placed_as_its_image_is(size: tuple[int, int], resize: int) -> None:
    """A white block on black, as an image and as a mask: the mask ends where the image is half
    grey.
    """
    width, height = size
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 3 : height * 2 // 3, width * 2 // 5 : width * 3 // 5] = True
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    grey = array(centre_square(image, Preprocessing(resize=resize))).astype(int)
    cropped = crop_mask(mask, Preprocessing(resize=resize))
    assert cropped.shape == (SIDE, SIDE)
    assert (cropped != (grey >= 128)).mean() < 0.01
    assert cropped[grey > 250].all()
    assert not cropped[grey < 5].any()


def test_a_mark_at_a_known_pixel_stays_at_its_place() -> None:
    """Twice the size: the pixel (301, 411) of 896 × 448 becomes (150, 205), from which 112 columns
    are cut off.
    """
    mask = np.zeros((448, 896), dtype=bool)
    mask[300:302, 410:412] = True
    assert [
        tuple(map(int, place)) for place in zip(*crop_mask(mask, USUAL).nonzero(), strict=True)
    ] == [(150, 93)]
    mask[301, 411] = False
    assert not crop_mask(mask, USUAL).any(), "the nearest pixel decides, not the mean of several"
    same = np.zeros((224, 224), dtype=bool)
    same[17, 200] = True
    assert np.array_equal(crop_mask(same, USUAL), same)


def test_the_size_of_an_image_is_read_from_its_header(tmp_path: Path) -> None:
    assert size_of(tmp_path, saved(tmp_path, noise(31, 17), "small.png")) == (31, 17)
    (tmp_path / "text.png").write_text("none")
    with pytest.raises(ImageUnreadable):
        size_of(tmp_path, b"text.png")


def test_a_file_that_changes_while_it_is_decoded_is_one_of_the_two_or_has_a_hash_of_its_own(
    tmp_path: Path,
) -> None:
    first, second = (io.BytesIO(), io.BytesIO())
    noise(200, 200).save(first, "BMP")
    noise(200, 200, 1).convert("RGB").save(second, "BMP")
    contents, file = (first.getvalue(), second.getvalue()), tmp_path / "a.bmp"
    pixels = {}
    for content in contents:
        file.write_bytes(content)
        opened = open_hashed(tmp_path, b"a.bmp", USUAL)
        pixels[opened.content] = array(opened.image).tobytes()
    ended = threading.Event()

    def rewrite() -> None:
        descriptor = os.open(file, os.O_WRONLY)
        for number in count():
            if ended.is_set():
                break
            os.pwrite(descriptor, contents[number % 2], 0)
        os.close(descriptor)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(rewrite)
        seen = [open_hashed(tmp_path, b"a.bmp", USUAL) for _ in range(40)]
        ended.set()
    known = [opened for opened in seen if opened.content in pixels]
    assert all(array(opened.image).tobytes() == pixels[opened.content] for opened in known)


BANDS = np.random.default_rng(0).random((48, 48, 6))


def six(side: int = 48, channels: int = 6) -> Preprocessing:
    return Preprocessing(
        side, side, mean=(0.5,) * channels, std=(0.2,) * channels, channels=channels
    )


def first_last(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(array.transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("npy", {}),
        ("npy", {"planarconfig": "separate"}),
        ("tif", {"planarconfig": "contig"}),
        ("tif", {"planarconfig": "separate", "rowsperstrip": 7}),
        ("tif", {"planarconfig": None}),  # a page for each
        ("tif", {"planarconfig": "contig", "compression": "zlib", "tile": (32, 32)}),
        ("tif", {"planarconfig": "separate", "byteorder": ">"}),
        ("tiff", {"planarconfig": "contig", "bigtiff": True}),
    ],
)
def test_arrays_are_read_by_their_range_however_they_are_stored(
    tmp_path: Path, suffix: str, options: dict[str, Any], kind: str
) -> None:
    most = {"uint8": 255, "uint16": 65535, "int32": 65535}.get(kind, 1)
    values = (BANDS * most).astype(kind)
    stored = values if options.get("planarconfig") == "contig" else first_last(values)
    file = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(file, stored if options else values)
    else:
        tifffile.imwrite(file, stored, photometric="minisblack", **options)
    opened = array(open_hashed(tmp_path, file.name.encode(), six()).image)
    assert opened.dtype == np.float32
    assert np.allclose(opened, values.astype(float) * 255 / most, atol=1e-2)
    half = array(open_hashed(tmp_path, file.name.encode(), six(24)).image)
    assert half.shape == (24, 24, 6)
    assert abs(half.mean() - opened.mean()) < 1
    assert size_of(tmp_path, file.name.encode()) == (48, 48)
    drawn = open_square(tmp_path, file.name.encode(), six())
    assert np.allclose(np.asarray(drawn), opened[:, :, :3], atol=1)


@pytest.mark.parametrize(("mode", "predictor"), [("RGBA", 2), ("F", 2), ("F", 3), ("I;16", 2)])
def test_bands_stored_by_their_differences_are_added_up(
    tmp_path: Path, mode: str, predictor: int
) -> None:
    kind, most = {"RGBA": ("uint8", 255), "F": ("float32", 1), "I;16": ("uint16", 65535)}[mode]
    values = (BANDS[:, :, :4] * most).astype(kind)
    count = 4 if mode == "RGBA" else 2
    pages = [Image.fromarray(values if mode == "RGBA" else values[:, :, 0])]
    pages += [Image.fromarray(values[:, :, 1])] if count == 2 else []
    pages[0].save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={317: predictor},
                  save_all=True, append_images=pages[1:])  # fmt: skip
    found = array(open_hashed(tmp_path, b"a.tif", six(channels=count)).image)
    assert np.allclose(found, values[:, :, :count] * (255 / most), atol=1e-2)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_of_bytes_is_the_picture_that_it_would_be(tmp_path: Path, channels: int) -> None:
    picture = noise(300, 280)
    picture.save(tmp_path / "a.png")
    wanted = Preprocessing(channels=channels)
    for pixels in (np.asarray(picture), first_last(np.asarray(picture))):
        np.save(tmp_path / "a.npy", pixels)
        found = open_square(tmp_path, b"a.npy", wanted)
        assert found.tobytes() == open_square(tmp_path, b"a.png", wanted).tobytes()
    np.save(tmp_path / "a.npy", (np.asarray(picture.convert("L")) / np.float32(255)))
    assert open_square(tmp_path, b"a.npy", wanted).mode == ("L" if channels == 1 else "RGB")


@pytest.mark.parametrize(
    ("values", "reason", "words"),
    [
        (np.zeros((9, 9, 5)), "unsupported", "its array is 9 x 9 x 5, and the network takes 6"),
        (np.zeros((2, 9, 9, 6)), "unsupported", "its array is 2 x 9 x 9 x 6"),
        (np.zeros((0, 9, 6)), "unsupported", "its array is 0 x 9 x 6"),
        (np.full((9, 9, 6), np.nan), "value-range", "go from nan to nan"),
        (np.full((9, 9, 6), -1.0), "value-range", "go from -1 to -1"),
        (np.zeros((9, 9, 6), complex), "unsupported", "its array holds complex128"),
        (np.full((9, 9, 6), None), "truncated", "Object arrays cannot be loaded"),
        (b"", "truncated", "."),
        (b"12", "truncated", "."),
    ],
)
def test_arrays_that_are_no_images_are_refused_with_what_they_are(
    tmp_path: Path, values: Any, reason: str, words: str
) -> None:
    if isinstance(values, bytes):
        np.save(tmp_path / "a.npy", BANDS)
        (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:200] + values)
    else:
        np.save(tmp_path / "a.npy", values)
    with pytest.raises(ImageUnreadable, match=words) as caught:
        open_square(tmp_path, b"a.npy", six())
    assert caught.value.reason == reason


@pytest.mark.filterwarnings("ignore::UserWarning")  # as pillow() has them in a run
def test_a_damaged_tiff_of_bands_is_one_unreadable_image(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", BANDS, photometric="minisblack", planarconfig="contig")
    whole = (tmp_path / "a.tif").read_bytes()
    with pytest.raises(ImageUnreadable, match="if it is a TIFF of many bands"):
        open_square(tmp_path, b"a.tif", USUAL)
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(
            whole[: random.integers(8, len(whole))] if random.random() < 0.5 else whole
        )
        damaged[int(random.integers(0, min(300, len(damaged))))] ^= int(random.integers(1, 256))
        (tmp_path / "a.tif").write_bytes(damaged)
        with contextlib.suppress(ImageUnreadable):
            open_square(tmp_path, b"a.tif", six())

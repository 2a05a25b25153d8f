"""A folder of files that are named like images and are trouble: ``python -m tests.bad_images
FOLDER`` makes it.

``make`` returns what must become of each: ``None`` for a row, else the reason of its one failure.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

GOOD = 3
"""Photographs without fault among the others: the neighbours that must stay whole."""

Make = Callable[[Path], None]


def picture(seed: int = 0, side: int = 240) -> Image.Image:
    """Smooth blobs, something a network can have an opinion on."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def _jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    picture().save(stream, "JPEG", **options)
    return stream.getvalue()


def _saved(image: Image.Image, form: str, **options: object) -> Make:
    return lambda path: image.save(path, form, **options)


def _bytes(content: bytes) -> Make:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _palette_with_alpha() -> Image.Image:
    image = picture().convert("P")
    image.info["transparency"] = bytes(range(256))
    return image


def _sixteen_bit() -> Image.Image:
    return Image.fromarray(np.asarray(picture().convert("L")).astype(np.uint16) * 257)


def _odd_exif() -> bytes:
    """A sound picture whose EXIF is nonsense: Pillow warns of it."""
    return _jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x7f" + b"\xff" * 40)


def _huge_png() -> bytes:
    """Sixty bytes that say 60 000 × 60 000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def _link_out(path: Path) -> None:
    outside = path.parent.parent / f"{path.parent.name}-outside.jpg"
    picture().save(outside)
    path.symlink_to(outside)


def _locked(path: Path) -> None:
    picture().save(path, "JPEG")
    path.chmod(0)


CORPUS: dict[bytes, tuple[Make, str | None]] = {
    b"empty.jpg": (_bytes(b""), "not-an-image"),
    b"truncated.jpg": (_bytes(_jpeg()[:2000]), "truncated"),
    b"text.jpg": (_bytes(b"Dear diary, this is not a picture.\n" * 20), "not-an-image"),
    b"really-a-png.jpg": (_saved(picture(), "PNG"), None),
    b"grey.jpg": (_saved(picture().convert("L"), "JPEG"), None),
    b"cmyk.jpg": (_saved(picture().convert("CMYK"), "JPEG"), None),
    b"sixteen-bit.png": (_saved(_sixteen_bit(), "PNG"), None),
    b"palette-with-alpha.png": (_saved(_palette_with_alpha(), "PNG"), None),
    b"animated.gif": (
        _saved(picture(), "GIF", save_all=True, append_images=[picture(1), picture(2)]),
        None,
    ),
    b"animated.webp": (_saved(picture(), "WEBP", save_all=True, append_images=[picture(1)]), None),
    b"odd-exif.jpg": (_bytes(_odd_exif()), None),
    b"huge.png": (_bytes(_huge_png()), "too-large"),
    b"large.pgm": (_bytes(b"P5 10000 9500 255\n"), "too-large"),
    b"one-pixel.png": (_saved(picture(side=1), "PNG"), None),
    b"pipe.jpg": (os.mkfifo, "not-a-file"),
    b"link-out.jpg": (_link_out, None),
    b"link-nowhere.jpg": (lambda path: path.symlink_to("nowhere"), "missing"),
    b"directory.jpg": (lambda path: path.mkdir(), "not-a-file"),
    b"no-permission.jpg": (_locked, "permission"),
    b"not-utf8-\xff\xfe.jpg": (_saved(picture(4), "JPEG"), None),
    b"\x1b[31mred\x1b]0;owned\x07.jpg": (_saved(picture(5), "JPEG"), None),
    b"broken-\x1b[2J.jpg": (_bytes(b"not an image either"), "not-an-image"),
    "right-to-left-\u202egpj.jpg".encode(): (_saved(picture(6), "JPEG"), None),
}


def make_good(folder: Path, count: int = GOOD) -> list[bytes]:
    """Photographs without fault alone."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"good{number}.jpg" for number in range(count)]
    for seed, name in enumerate(names, 100):
        picture(seed).save(folder / name)
    return [name.encode() for name in names]


def make(folder: Path) -> dict[bytes, str | None]:
    """Fill a folder; returns file name → expected reason, ``None`` where the file is an image after
    all.
    """
    expected: dict[bytes, str | None] = dict.fromkeys(make_good(folder))
    for name, (create, reason) in CORPUS.items():
        create(folder / os.fsdecode(name))
        expected[name] = reason
    return expected


if __name__ == "__main__":
    make(Path(sys.argv[1]))

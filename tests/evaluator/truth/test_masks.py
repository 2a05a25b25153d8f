"""Masks: every mode a PNG comes in, one object or several classes, and files that are none."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from evaluator.errors import TruthUnusable
from evaluator.truth.formats import read_mask

SQUARE = np.zeros((6, 8), dtype=np.uint8)
SQUARE[2:4, 3:6] = 1
NOISE = np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8)


def png(image: Image.Image, form: str = "PNG") -> bytes:
    stream = BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def palette() -> Image.Image:
    image = Image.fromarray(SQUARE).convert("P")
    image.putdata(SQUARE.flatten().tolist())
    image.putpalette([255, 255, 255, 0, 0, 0])  # the object is black: what counts is the index
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(SQUARE),
        Image.fromarray(SQUARE * 255),
        Image.fromarray(SQUARE * 255).convert("1"),
        Image.fromarray(SQUARE.astype(np.uint16) * 40_000),
        Image.fromarray(np.stack([0 * SQUARE, 0 * SQUARE, SQUARE], axis=2)),
        Image.fromarray(np.stack([SQUARE * 9, SQUARE, SQUARE, 0 * SQUARE], axis=2), "RGBA"),
        palette(),
    ],
    ids=lambda image: image.mode,
)
def test_one_value_is_the_object_in_every_mode(image: Image.Image) -> None:
    truth = read_mask(png(image))
    assert (truth.width, truth.height, len(truth.regions)) == (8, 6, 1)
    assert np.array_equal(truth.regions[0].draw(), SQUARE > 0)


def test_several_values_are_classes() -> None:
    values = SQUARE.copy()
    values[0, 0] = 8
    first, second = read_mask(png(Image.fromarray(values))).regions
    assert (first.name, second.name) == (0, 7)
    assert second.draw().sum() == 1


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (png(Image.fromarray(SQUARE * 0)), "truth-empty", "a mask without an object"),
        (png(Image.fromarray(SQUARE), "GIF"), "truth-broken", "no PNG"),
        (b"", "truth-broken", "no PNG"),
        (
            png(Image.fromarray(np.random.default_rng(0).integers(0, 9, (64, 64), dtype=np.uint8)))[
                :200
            ],
            "truth-broken",
            "damaged",
        ),
        (
            png(Image.fromarray(np.arange(2048, dtype=np.uint16).reshape(32, 64))),
            "truth-broken",
            "2047 different values",
        ),
    ],
)
def test_what_is_no_mask(data: bytes, reason: str, words: str) -> None:
    with pytest.raises(TruthUnusable, match=words) as caught:
        read_mask(data)
    assert caught.value.reason == reason


def test_a_small_file_that_says_it_is_huge_is_not_unpacked() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(TruthUnusable, match="pixels"):
        read_mask(bomb)

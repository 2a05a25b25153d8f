"""What libjpeg says against damaged files, and what nothing notices."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from evaluator import crop
from evaluator.crop import open_hashed
from evaluator.errors import ImageUnreadable
from evaluator.measuring.inputs import Loader
from evaluator.records import ImageRef, Preprocessing
from tests.shared import SAMPLE


def picture(form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    small = Image.frombytes("RGB", (40, 30), Random(1).randbytes(40 * 30 * 3))
    small.resize((320, 240), Image.Resampling.BICUBIC).save(stream, form, **options)
    return stream.getvalue()


def flipped(data: bytes, seed: int) -> bytes:
    """Eight bits turned somewhere behind the header."""
    random, changed = Random(seed), bytearray(data)
    for _ in range(8):
        changed[random.randrange(700, len(changed) - 2)] ^= 1 << random.randrange(8)
    return bytes(changed)


def decodes(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).convert("RGB")
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"quality": 95, "subsampling": 0}, {"restart_marker_rows": 1}],
)
def test_a_whole_file_has_no_warnings(options: dict[str, object]) -> None:
    assert crop.warning_of(picture("JPEG", **options)) == ""


def test_most_damaged_files_that_pillow_decodes_are_noticed() -> None:
    damaged = [
        data for data in (flipped(picture("JPEG"), seed) for seed in range(60)) if decodes(data)
    ]
    noticed = sum(bool(crop.warning_of(data)) for data in damaged)
    assert len(damaged) > 30
    assert noticed > len(damaged) / 3


@pytest.mark.parametrize("data", [b"", b"garbage", picture("JPEG")[:300], b"\xff\xd8\xff\xd9"])
def test_what_is_no_jpeg_is_left_to_pillow(data: bytes) -> None:
    assert crop.warning_of(data) == ""


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_read_too(mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (65, 63)).save(stream, "JPEG")
    assert crop.warning_of(stream.getvalue()) == ""


def test_several_threads_ask_at_once() -> None:
    data = [picture("JPEG"), *(flipped(picture("JPEG"), seed) for seed in range(20))] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(crop.warning_of, data)) == [crop.warning_of(one) for one in data]


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the shared images are not here")
def test_no_real_photograph_is_refused() -> None:
    files = sorted(SAMPLE.rglob("*.JPEG"))[:40]
    assert [file.name for file in files if crop.warning_of(file.read_bytes())] == []


def test_a_damaged_file_is_a_failure_and_never_a_picture(tmp_path: Path) -> None:
    damaged = next(
        data
        for data in (flipped(picture("JPEG"), seed) for seed in range(60))
        if crop.warning_of(data) and decodes(data)
    )
    (tmp_path / "a.jpg").write_bytes(damaged)
    with pytest.raises(ImageUnreadable, match="libjpeg warns: Corrupt JPEG data") as caught:
        open_hashed(tmp_path, b"a.jpg", Preprocessing())
    assert caught.value.reason == "damaged"


def test_a_png_is_held_against_its_own_checksums(tmp_path: Path) -> None:
    whole = picture("PNG")
    (tmp_path / "a.png").write_bytes(whole)
    open_hashed(tmp_path, b"a.png", Preprocessing())
    place = whole.index(b"IDAT") + 2000
    refused = 0
    for bit in range(8):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        (tmp_path / "a.png").write_bytes(changed)
        with pytest.raises(ImageUnreadable):
            open_hashed(tmp_path, b"a.png", Preprocessing())
        refused += 1
    assert refused == 8


@pytest.mark.parametrize("options", [{}, {"quality": 95, "subsampling": 0}, {"progressive": True}])
@pytest.mark.parametrize("stray", [bytes(39), b"GARBAGE!" * 64])
def test_stray_bytes_before_the_end_marker_leave_the_pixels_whole(
    tmp_path: Path, options: dict[str, object], stray: bytes
) -> None:
    whole = picture("JPEG", **options)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "stray.jpg").write_bytes(whole[:-2] + stray + whole[-2:])
    first, second = (
        open_hashed(tmp_path, name, Preprocessing()) for name in (b"whole.jpg", b"stray.jpg")
    )
    assert first.image.tobytes() == second.image.tobytes()
    assert not first.note
    loader = Loader(tmp_path, threads=1)
    read = loader.collect(
        [ImageRef(0, b"stray.jpg", len(whole) + len(stray), None)], Preprocessing()
    )
    loader.close()
    assert not read.unreadable
    assert loader.notes == [f"stray.jpg: {second.note}"]
    assert second.note.endswith(" stray bytes before its end marker; its pixels are whole")


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the shared images are not here")
def test_data_left_over_by_a_decoder_that_lost_its_place_are_not_stray() -> None:
    random, files = Random(2), sorted(SAMPLE.rglob("*.JPEG"))[:12]
    taken = refused = 0
    for data in (file.read_bytes() for file in files for _ in range(6)):
        changed, place = bytearray(data), random.randrange(data.rfind(b"\xff\xda") + 20, len(data))
        changed[place : place + 16] = random.randbytes(16)
        warning = crop.warning_of(bytes(changed))
        if "extraneous bytes before marker 0xd9" in warning:
            taken += bool(crop.stray_bytes(bytes(changed), warning))
            refused += 1
    assert refused > 5
    assert taken <= refused / 5

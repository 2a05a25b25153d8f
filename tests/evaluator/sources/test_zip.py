"""Zip archives: stored and deflated members, bombs, and what is no honest archive."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.errors import ImageUnreadable, UsageError
from evaluator.images import find_images
from evaluator.sources import read_image
from tests.evaluator.sources.makers import zip_of

MEMBERS = [
    ("n01440764/a.JPEG", b"first"),
    ("n01443537/ü 画.png", b"x" * 9000),
    ("n01443537/b.png", b""),
    ("readme.txt", b"no image"),
]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"])
def test_members_are_read_where_they_lie(tmp_path: Path, method: int, before: bytes) -> None:
    archive = zip_of(tmp_path / "val.zip", MEMBERS, method)
    archive.write_bytes(before + archive.read_bytes())
    found = find_images(archive, seed=0)
    assert {one.path: one.size for one in found.images} == {
        name.encode(): len(data) for name, data in MEMBERS[:3]
    }
    for name, data in MEMBERS[:3]:
        assert read_image(archive, name.encode(), len(data)) == data
    inner = find_images(archive / "n01443537", seed=0)
    assert {one.path.decode() for one in inner.images} == {"ü 画.png", "b.png"}


def test_an_archive_of_more_than_four_gigabytes_by_its_headers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "val.zip", "w") as archive:
        with archive.open("a.jpg", "w", force_zip64=True) as member:
            member.write(b"first")
        for number in range(66_000):
            archive.writestr(f"t/{number}.txt", b"")
    assert [one.size for one in find_images(tmp_path / "val.zip", seed=0).images] == [5]
    assert read_image(tmp_path / "val.zip", b"a.jpg", 5) == b"first"


def link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("a.jpg")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("a.jpg", b"x")
    archive.writestr("./a.jpg", b"y")


@pytest.mark.parametrize(
    ("add", "words"),
    [
        (lambda archive: archive.writestr("../a.jpg", b"x"), "whose path leads out of it"),
        (lambda archive: archive.writestr("/a.jpg", b"x"), "whose path leads out of it"),
        (lambda archive: archive.writestr("b/../../a", b"x"), "whose path leads out of it"),
        (link, r"a\.jpg, which is a link"),
        (twice, r"has the member a\.jpg twice"),
        (
            lambda archive: archive.writestr("a.jpg", b"x", zipfile.ZIP_BZIP2),
            "which is packed by bzip2",
        ),
    ],
)
def test_a_hostile_member_is_named(
    tmp_path: Path, add: Callable[[zipfile.ZipFile], None], words: str
) -> None:
    with zipfile.ZipFile(tmp_path / "val.zip", "w") as archive:
        archive.writestr("fine.jpg", b"x")
        add(archive)
    with pytest.raises(UsageError, match=words):
        find_images(tmp_path / "val.zip", seed=0)


def patched(archive: Path, field: int, form: str, value: int) -> None:
    """Write a number into the entry of the first member of the central directory."""
    data = bytearray(archive.read_bytes())
    struct.pack_into(form, data, data.index(b"PK\x01\x02") + field, value)
    archive.write_bytes(data)


@pytest.mark.parametrize(
    ("field", "form", "value", "reason", "words"),
    [
        (24, "<I", 100, "damaged", "it unpacks to more than the 100 bytes that are said"),
        (24, "<I", 2**31, "too-large", "2147483648 bytes, at most"),
        (24, "<I", 2_000_000, "changed", "1000000 bytes, 2000000 expected"),
        (16, "<I", 7, "damaged", "it does not fit its checksum"),
    ],
)
def test_a_bomb_is_one_image_that_cannot_be_read(
    tmp_path: Path, field: int, form: str, value: int, reason: str, words: str
) -> None:
    archive = zip_of(tmp_path / "v.zip", [("a.bmp", bytes(10**6))], zipfile.ZIP_DEFLATED)
    patched(archive, field, form, value)
    (image,) = find_images(archive, seed=0).images
    with pytest.raises(ImageUnreadable, match=words) as told:
        read_image(archive, image.path, image.size)
    assert told.value.reason == reason


def end_of(archive: Path, field: int, form: str, value: int) -> None:
    """Write a number into the record at the archive's end."""
    data = bytearray(archive.read_bytes())
    struct.pack_into(form, data, data.rindex(b"PK\x05\x06") + field, value)
    archive.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-30]), "or its end is missing"),
        (lambda file: file.write_bytes(b"x" * 100), "is no zip archive"),
        (lambda file: patched(file, 20, "<I", 10**6), "lie upon each other or beyond its end"),
        (lambda file: patched(file, 42, "<I", 10**6), "lie upon each other or beyond its end"),
        (lambda file: patched(file, 0, "<I", 0), "no member's header at byte"),
        (lambda file: end_of(file, 10, "<H", 9), "3 members of 9 are listed"),
        (lambda file: end_of(file, 12, "<I", 10**6), "list of members is not found"),
        (lambda file: end_of(file, 4, "<H", 1), "one part of several"),
    ],
)
def test_an_archive_that_was_cut_or_lies(
    tmp_path: Path, change: Callable[[Path], object], words: str
) -> None:
    archive = zip_of(tmp_path / "val.zip", [(f"{number}.jpg", b"x" * 50) for number in range(3)])
    change(archive)
    with pytest.raises(UsageError, match=words):
        find_images(archive, seed=0)


def test_members_that_share_their_bytes_are_a_bomb(tmp_path: Path) -> None:
    """Each of them is small and fits: together they unpack to what nobody has."""
    kernel = io.BytesIO()
    with zipfile.ZipFile(kernel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", bytes(10**6))
        for number in range(40):
            info = archive.infolist()[0]
            again = zipfile.ZipInfo(f"{number}.bmp")
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, name, getattr(info, name))
            archive.filelist.append(again)
    (tmp_path / "val.zip").write_bytes(kernel.getvalue())
    with pytest.raises(UsageError, match="lie upon each other"):
        find_images(tmp_path / "val.zip", seed=0)

"""Tar archives: the formats that there are, and what is no honest archive."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from evaluator.errors import ImageUnreadable, UsageError
from evaluator.images import find_images
from evaluator.sources import read_image
from tests.evaluator.sources.makers import shards_of, tar_of

LONG = "/".join(f"{'folder' * 8}{number}" for number in range(4))
MEMBERS = [
    ("n01440764/a.JPEG", b"first"),
    ("n01443537/b.png", b""),
    ("n01443537/ü 画.jpg", b"x" * 1500),
    (f"{LONG}/c.png", b"deep"),
    ("readme.txt", b"no image"),
    ("._a.jpg", b"hidden"),
]


def paths(place: Path) -> list[bytes]:
    return sorted(image.path for image in find_images(place, seed=0).images)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_where_they_lie(tmp_path: Path, form: int) -> None:
    archive = tar_of(tmp_path / "val.tar", MEMBERS, form)
    found = find_images(archive, seed=0)
    assert {one.path: one.size for one in found.images} == {
        name.encode(): len(data) for name, data in MEMBERS[:4]
    }
    assert found.folders == tuple(sorted({name.partition("/")[0] for name, _ in MEMBERS[:4]}))
    assert [one for _, one in found.remarks()] == ["left out: 1 hidden or system file (._a.jpg)"]
    for name, data in MEMBERS[:4]:
        assert read_image(archive, name.encode(), len(data)) == data
    assert sorted(file.name for file in tmp_path.iterdir()) == ["val.tar"], "nothing is unpacked"


@pytest.mark.parametrize("option", ["--format=gnu", "--format=pax", "--format=ustar"])
def test_archives_of_the_program(tmp_path: Path, option: str) -> None:
    place = tmp_path / "val" / "n01440764"
    place.mkdir(parents=True)
    for number in range(3):
        (place / f"{number}.png").write_bytes(b"x" * 700 * number)
    archive = tmp_path / "val.tar"
    subprocess.run(["tar", option, "-cf", archive, "-C", tmp_path, "val"], check=True)
    assert paths(archive / "val") == [f"n01440764/{number}.png".encode() for number in range(3)]
    assert read_image(archive / "val", b"n01440764/2.png", 1400) == b"x" * 1400


def linked(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def file(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([file("../a.jpg")], r"has the member \.\./a\.jpg, whose path leads out of it"),
        ([file("a/../../b.jpg")], "whose path leads out of it"),
        ([file("/etc/passwd.jpg")], "the member /etc/passwd.jpg, whose path leads out of it"),
        ([file("../etc/passwd")], "whose path leads out of it"),
        ([linked("a.jpg", "/etc/passwd", tarfile.SYMTYPE)], r"a\.jpg, which is a link, not a file"),
        ([file("b.jpg"), linked("a.jpg", "b.jpg", tarfile.LNKTYPE)], "which is a link"),
        ([linked("a.jpg", "", tarfile.CHRTYPE)], "which is a device"),
        ([linked("a.jpg", "", tarfile.FIFOTYPE)], "which is a pipe"),
        ([file("a.jpg"), file("a.jpg", b"other")], r"has the member a\.jpg twice"),
        ([file("a.jpg"), file("./a.jpg")], r"has the member a\.jpg twice"),
    ],
)
def test_a_hostile_member_is_named_and_nothing_is_read(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], words: str
) -> None:
    with tarfile.open(tmp_path / "val.tar", "w") as archive:
        for info, data in [file("fine.jpg"), *members]:
            archive.addfile(info, io.BytesIO(data))
    with pytest.raises(UsageError, match=words):
        find_images(tmp_path / "val.tar", seed=0)
    with pytest.raises(ImageUnreadable, match=words):
        read_image(tmp_path / "val.tar", b"fine.jpg", 1)


def test_a_link_that_is_no_image_is_of_no_interest(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "val.tar", "w") as archive:
        for info, data in [file("a.jpg"), linked("latest", "/etc", tarfile.SYMTYPE)]:
            archive.addfile(info, io.BytesIO(data))
    assert paths(tmp_path / "val.tar") == [b"a.jpg"]
    with pytest.raises(ImageUnreadable, match="no such member"):
        read_image(tmp_path / "val.tar", b"latest/passwd")


def damaged(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:700], "ends within a member: 5,000 bytes at 512"),
        (lambda data: data[: 512 * 11], "has no end: it was cut"),
        (lambda data: data[: 512 * 11 + 100], "has no end: it was cut"),
        (lambda data: b"", "is no tar archive"),
        (lambda data: damaged(data, 512 * 11 + 3), "is damaged at byte 5,632"),
        (lambda data: b"\x1f\x8b" + data[2:], r"is compressed as a whole by gzip"),
        (lambda data: damaged(data, 130), "is no tar archive"),
    ],
)
def test_an_archive_that_was_cut_or_is_none(tmp_path: Path, change: object, words: str) -> None:
    archive = tar_of(tmp_path / "val.tar", [("a.jpg", b"x" * 5000), ("b.jpg", b"y" * 100)])
    assert callable(change)
    archive.write_bytes(change(archive.read_bytes()))
    with pytest.raises(UsageError, match=words) as told:
        find_images(archive, seed=0)
    assert told.value.hint


@pytest.mark.parametrize(
    ("name", "hint"), [("val.tar.gz", "gunzip -k"), ("val.tgz", "gunzip -k"), ("v.tar.xz", "unxz")]
)
def test_an_archive_that_is_compressed_as_a_whole(tmp_path: Path, name: str, hint: str) -> None:
    form = "w:xz" if name.endswith("xz") else "w:gz"
    with tarfile.open(tmp_path / name, form) as archive:  # type: ignore[call-overload]
        archive.addfile(*[file("a.jpg")[0], io.BytesIO(b"x")])
    with pytest.raises(UsageError, match="compressed as a whole") as told:
        find_images(tmp_path / name, seed=0)
    assert hint in told.value.hint


def test_a_pax_header_that_tells_of_much_is_not_believed(tmp_path: Path) -> None:
    archive = tmp_path / "val.tar"
    info = tarfile.TarInfo("h")
    info.type, info.size = b"x", 2**33 - 1
    archive.write_bytes(info.tobuf() + bytes(2048))
    with pytest.raises(UsageError, match="a header of 8,589,934,591 bytes"):
        find_images(archive, seed=0)


CLASSED = [(f"{number % 4}/{number:02}.png", bytes([number]) * (number + 1)) for number in range(9)]


@pytest.mark.parametrize("label", ["cls", "json"])
def test_shards_are_one_source_and_label_their_images(tmp_path: Path, label: str) -> None:
    place = shards_of(tmp_path, CLASSED, label)
    for named in (place, tmp_path / "val-*.tar"):
        found = find_images(named, seed=0)
        assert {one.path: one.label for one in found.images} == {
            name.replace("/", "_").encode(): int(name[0]) for name, _ in CLASSED
        }
        assert read_image(named, b"3_07.png", 8) == b"\7" * 8
    (tmp_path / "val-001.tar").unlink()
    with pytest.raises(UsageError, match=r"no such file: .*val-001\.tar"):
        find_images(place, seed=0)


def test_a_label_beside_an_image_that_is_none(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "val.tar", [("a.jpg", b"x"), ("a.cls", b"a cat")])
    with pytest.raises(UsageError, match=r"the label of a\.jpg is no class index .*: a cat"):
        find_images(archive, seed=0)
    tar_of(archive, [("a.jpg", b"x"), ("a.cls", b"n01443537"), ("a.json", b'{"label": 7}')])
    assert [one.label for one in find_images(archive, seed=0).images] == [1]


def test_a_member_of_two_shards_is_refused_by_both(tmp_path: Path) -> None:
    for name in ("a-0.tar", "a-1.tar"):
        tar_of(tmp_path / name, [("same.jpg", b"x")])
    with pytest.raises(UsageError, match=r"a-1\.tar and a-0\.tar both have the member same\.jpg"):
        find_images(tmp_path / "a-{0..1}.tar", seed=0)


def test_an_archive_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "val.tar", [("a.jpg", b"first"), ("b.jpg", b"second")])
    assert read_image(archive, b"b.jpg", 6) == b"second"
    tar_of(tmp_path / "other.tar", [("b.jpg", b"others"), ("c.jpg", b"third")]).replace(archive)
    assert read_image(archive, b"b.jpg", 6) == b"others", "whose hash tells"
    with pytest.raises(ImageUnreadable, match="no such member") as told:
        read_image(archive, b"a.jpg", 5)
    assert told.value.reason == "missing"
    tar_of(archive, [("b.jpg", b"longer than before")])
    with pytest.raises(ImageUnreadable, match="18 bytes, the manifest has 6"):
        read_image(archive, b"b.jpg", 6)
    archive.unlink()
    with pytest.raises(ImageUnreadable, match="No such file"):
        read_image(archive, b"b.jpg", 6)


def test_archives_that_cat_has_joined_are_refused(tmp_path: Path) -> None:
    """Their end is that of the first: the images of the second would be left out unsaid."""
    one, two = (tar_of(tmp_path / f"{name}.tar", [(f"{name}.jpg", b"x")]) for name in "ab")
    size = one.stat().st_size
    one.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(UsageError, match=f"another archive behind its end, at byte {size:,}"):
        find_images(one, seed=0)
    two.write_bytes(two.read_bytes() + bytes(2**21))
    assert paths(two) == [b"b.jpg"]


def test_a_file_with_holes_is_refused_in_either_form(tmp_path: Path) -> None:
    with open(tmp_path / "a.png", "wb") as file:
        file.seek(2**20)
        file.write(b"x" * 4096)
    for form in ("gnu", "pax"):
        archive = tmp_path / f"{form}.tar"
        command = [
            "tar",
            "-S",
            f"--format={form}",
            "-cf",
            str(archive),
            "-C",
            str(tmp_path),
            "a.png",
        ]
        subprocess.run(command, check=True)
        with pytest.raises(UsageError, match="a file with holes"):
            find_images(archive, seed=0)

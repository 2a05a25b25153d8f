"""Each kind of source against the folder: the same rows, byte for byte; runs that are killed."""

from __future__ import annotations

import gc
import json
import struct
import tracemalloc
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluator.crop import size_of
from evaluator.errors import Mismatch, UsageError
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import open_session
from evaluator.plan import validated_plan
from evaluator.records import Row, Unit
from evaluator.sources import archive, read_image
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from evaluator.synthetic.scene import DataSet, write_images
from tests.evaluator.execution.support import (
    ROOT,
    Run,
    check,
    each_row,
    kill,
    make_data,
    make_plan,
    workers_of,
)
from tests.evaluator.sources.makers import files_of, npz_of, parquet_of, shards_of, tar_of, zip_of

METHODS = ("gradcam", "layercam")
"""Without noise, which is drawn by an image's path."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of ten images."""
    wanted = DataSet(tmp_path_factory.mktemp("made"), 0, 64)
    deque(write_images(wanted, 10))
    return wanted.images


def rows_of(data: Path) -> dict[bytes, tuple[bytes, list[Row]]]:
    """Hash of an image → its path, and its rows without the number of the image."""
    plan = validated_plan(
        {"data": str(data), "backbones": ["synthetic_cnn"], "methods": METHODS, "seed": 3}
    )
    manifest = find_images(data, seed=3)
    session = open_session(SessionSettings(plan, str(manifest.root)))
    session.load(0)
    found: dict[bytes, tuple[bytes, list[Row]]] = {}
    for image in manifest.images:  # by itself: the order, and so the batches, are by the paths
        result = session.evaluate(Unit(0, 0, 0, (0, 1), METHODS, (image,)))
        assert not result.failures
        content = result.contents[image.id]
        assert content == sha256(read_image(data, image.path)).digest()
        found[content] = image.path, [row._replace(image=0) for row in result.rows]
    session.close()
    return found


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[bytes, tuple[bytes, list[Row]]]:
    return rows_of(folder)


def flat(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name.replace("/", "-"), data) for name, data in members]


def by_number(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(f"class_{place % 5}/{place}.png", data) for place, (_, data) in enumerate(members)]


def pixels(members: list[tuple[str, bytes]]) -> Any:
    return np.stack([np.asarray(Image.open(BytesIO(data))) for _, data in members])


Make = Callable[[Path, list[tuple[str, bytes]]], Path]
SAME_PATHS: dict[str, Make] = {
    "tar": lambda to, members: tar_of(to / "val.tar", members),
    "tar-inside": lambda to, members: (
        tar_of(to / "a.tar", [(f"a/val/{name}", data) for name, data in members]) / "a" / "val"
    ),
    "zip": lambda to, members: zip_of(to / "val.zip", members),
    "zip-deflated": lambda to, members: zip_of(to / "val.zip", members, zipfile.ZIP_DEFLATED),
}
OTHER_PATHS: dict[str, Make] = {
    "tar-flat": lambda to, members: tar_of(to / "val.tar", flat(members)),
    "npz": lambda to, members: npz_of(to / "v.npz", {"images": pixels(members)}, packed=True),
    "parquet": lambda to, members: parquet_of(to / "v.parquet", members),
    "shards": lambda to, members: shards_of(to, by_number(members)),
}


@pytest.mark.parametrize("make", SAME_PATHS.values(), ids=SAME_PATHS)
def test_rows_manifest_and_sizes_are_those_of_the_folder(
    folder: Path, expected: dict[bytes, Any], tmp_path: Path, make: Make
) -> None:
    place = make(tmp_path, files_of(folder))
    assert rows_of(place) == expected
    one, other = (find_images(data, seed=3) for data in (place, folder))
    assert (one.images, one.sha256, one.folders) == (other.images, other.sha256, other.folders)
    assert size_of(place, one.images[0].path) == (64, 64)


@pytest.mark.parametrize("make", OTHER_PATHS.values(), ids=OTHER_PATHS)
def test_rows_are_those_of_the_folder_but_for_the_path(
    folder: Path, expected: dict[bytes, Any], tmp_path: Path, make: Make
) -> None:
    found = rows_of(make(tmp_path, files_of(folder)))
    assert sorted(rows for _, rows in found.values()) == sorted(
        rows for _, rows in expected.values()
    )


@pytest.fixture
def archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the fake evaluator over a tar of 60 images, not yet launched."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CAMTUI_FAKE", '{"seconds": 0.005}')
    members = files_of(make_data(tmp_path / "data", 60))
    return Run(tmp_path / "run.db", make_plan(tar_of(tmp_path / "val.tar", members)))


def test_a_run_over_an_archive_is_killed_goes_on_and_has_the_folders_rows(
    archived: Run, tmp_path: Path
) -> None:
    driver = archived.launch().pid
    archived.wait_for_rows(30)
    for worker in workers_of(driver)[:1]:
        kill(worker)
    kill(driver)
    archived.wait()
    assert archived.end().state == "complete"
    check(archived)
    plain = Run(tmp_path / "plain.db", make_plan(tmp_path / "data"), archived.settings)
    plain.end()
    assert list(each_row(plain)) == list(each_row(archived))
    with RunReader(plain.db) as one, RunReader(archived.db) as other:
        assert one.manifest_sha256() == other.manifest_sha256()


def test_an_archive_that_was_swapped_is_refused_when_the_run_goes_on(
    archived: Run, tmp_path: Path
) -> None:
    archived.plan = replace(archived.plan, limit=20)
    archived.end()
    tar_of(tmp_path / "val.tar", files_of(make_data(tmp_path / "other", 40)))
    archived.plan = replace(archived.plan, limit=30)
    with pytest.raises(Mismatch, match="has changed since the run began"):
        archived.launch()
    (tmp_path / "val.tar").write_bytes(b"")
    with pytest.raises(Exception, match=r"val\.tar is no tar archive"):
        archived.launch()


def test_an_archive_that_goes_away_pauses_the_run_until_it_is_back(
    archived: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"gate": str(gate), "free": 1}))
    archived.launch()
    archived.wait_for_rows(10)
    (tmp_path / "val.tar").rename(tmp_path / "away")
    gate.unlink()
    while archived.status().state != "paused":
        assert lock_holder(archived.db), archived.log()
    assert "val.tar (No such file or directory)" in archived.status().message
    (tmp_path / "away").rename(tmp_path / "val.tar")
    assert archived.wait().state == "complete"
    check(archived)


MANY = 100_000


def held(place: Path, path: bytes) -> tuple[float, float]:
    """Megabytes that a worker holds once it has read an image, and the most meanwhile."""
    gc.collect()
    tracemalloc.start()
    read_image(place, path)
    gc.collect()
    found = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found[0] / 1e6, found[1] / 1e6


@pytest.mark.long
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_memory_is_bounded_on_an_archive_of_100_000_members(
    tmp_path: Path, make: Callable[[Path, list[tuple[str, bytes]]], Path]
) -> None:
    """A member takes no more than its name and its place; what is no image takes nothing."""
    ending = make.__name__[:3]
    images = [(f"{number % 100}/{number:06}.jpg", b"x") for number in range(MANY)]
    now, most = held(make(tmp_path / f"images.{ending}", images), b"0/000000.jpg")
    assert 5 < now < 45
    assert most < now + 4
    others = [("a.jpg", b"x"), *((f"{number}.txt", b"x") for number in range(MANY // 10))]
    assert max(held(make(tmp_path / f"others.{ending}", others), b"a.jpg")) < 4


def test_more_members_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 1000)
    members = [(f"{number}.txt", b"") for number in range(1001)]
    for make in (tar_of, zip_of):
        with pytest.raises(UsageError, match="more than 1,000 members"):
            find_images(make(tmp_path / f"many.{make.__name__[:3]}", members), seed=0)
    data = bytearray((tmp_path / "many.zip").read_bytes())
    end = data.rindex(b"PK\5\6")
    wide = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 10**9, 10**9, 0, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    data[end:] = wide + locator + b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2)
    (tmp_path / "many.zip").write_bytes(data)
    with pytest.raises(UsageError, match="has 1,000,000,000 members"):
        find_images(tmp_path / "many.zip", seed=0)

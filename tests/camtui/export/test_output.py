"""Files appear whole or never."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from camtui.export import ExportRequest, export_file
from camtui.format import TableOptions
from evaluator.errors import NotFound, UsageError
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import PATIENCE
from tests.synthetic import make_run


def test_no_overwriting_unless_forced(reader: RunReader, tmp_path: Path) -> None:
    target = tmp_path / "a.md"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        export_file(reader, ExportRequest("md"), target)
    assert target.read_text() == "precious"
    export_file(reader, ExportRequest("md"), target, force=True)
    assert target.read_text().startswith("**demo")
    with pytest.raises(UsageError, match="is a folder"):
        export_file(reader, ExportRequest("md"), tmp_path, force=True)
    with pytest.raises(UsageError, match="cannot write"):
        export_file(reader, ExportRequest("md"), tmp_path / "none" / "a.md")


def test_a_failure_leaves_what_was_there(reader: RunReader, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("precious")
    with pytest.raises(NotFound):
        export_file(
            reader, ExportRequest("csv", options=TableOptions(filter="nothing")), target, force=True
        )
    assert os.listdir(tmp_path) == ["a.csv"]
    assert target.read_text() == "precious"


def test_a_fifo_and_a_device_are_written_into(reader: RunReader, tmp_path: Path) -> None:
    place = tmp_path / "pipe"
    os.mkfifo(place)
    found: list[str] = []
    reading = threading.Thread(target=lambda: found.append(place.read_text()))
    reading.start()
    assert export_file(reader, ExportRequest("csv"), place, force=True) == [place]
    reading.join()
    assert found[0].startswith("backbone,")
    assert place.is_fifo()
    before = os.stat("/dev/null")
    export_file(reader, ExportRequest("csv"), Path("/dev/null"), force=True)
    assert os.path.samestat(before, os.stat("/dev/null"))
    assert os.listdir(tmp_path) == ["pipe"]
    assert not Path("/dev/datapackage.json").exists()


def test_a_link_stays_and_what_it_leads_to_is_replaced(reader: RunReader, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, place = tmp_path / "table.md", tmp_path / "far" / "table.md"
    link.symlink_to(place)
    export_file(reader, ExportRequest("md"), link)
    assert link.is_symlink()
    assert place.read_text().startswith("**demo")
    with pytest.raises(UsageError, match="exists"):
        export_file(reader, ExportRequest("md"), link)


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", ".lock", ".log"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_run_and_what_stands_beside_it_is_never_written_over(
    reader: RunReader, tmp_path: Path, ending: str, linked: bool
) -> None:
    reader.copy_to(tmp_path / "demo.db")
    whole = (tmp_path / "demo.db").read_bytes()
    target = tmp_path / f"demo.db{ending}"
    if linked:
        target, target_of = tmp_path / "table.csv", target
        target.symlink_to(target_of)
    with pytest.raises(UsageError, match="belongs to the run demo"):
        export_file(reader, ExportRequest("csv"), target, force=True)
    assert (tmp_path / "demo.db").read_bytes() == whole


def test_a_socket_is_refused(reader: RunReader, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        with pytest.raises(UsageError, match="no regular file"):
            export_file(reader, ExportRequest("csv"), tmp_path / "s", force=True)


def test_what_a_killed_export_left_blocks_no_other(reader: RunReader, tmp_path: Path) -> None:
    """Killed between the first byte and the rename, again and again under one process number."""
    code = (
        "import os, pathlib, sys\n"
        "os.getpid = lambda: 1\n"
        "from camtui.export.output import destination\n"
        "with destination(pathlib.Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half')\n"
        "    stream.flush()\n"
        "    os.kill(int(os.readlink('/proc/self')), 9)\n"
    )
    target = tmp_path / "a.csv"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, target], check=False)
        assert done.returncode == -9
    assert not target.exists()
    export_file(reader, ExportRequest("csv"), target)
    assert target.read_text().startswith("backbone,")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a file system of some kilobytes."""
    place = tmp_path / "tiny"
    place.mkdir()

    def mounted(kilobytes: int) -> Path:
        subprocess.run(["umount", place], check=False, capture_output=True)
        size = f"size={kilobytes}k"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip("no file system may be mounted here")
        return place

    yield mounted
    subprocess.run(["umount", place], check=False, capture_output=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize("missing", [-8, 4, 100])
def test_a_copy_to_a_full_disk_leaves_nothing(
    reader: RunReader, tmp_path: Path, tiny: Callable[[int], Path], missing: int
) -> None:
    """Too small for the data, or for what SQLite needs beside them at the end."""
    reader.copy_to(tmp_path / "demo.db")
    place = tiny((tmp_path / "demo.db").stat().st_size // 1024 - missing)
    with pytest.raises(UsageError, match="cannot copy to"):
        reader.copy_to(place / "copy.db")
    assert os.listdir(place) == []


def test_a_reader_that_has_stopped_holds_nothing_back(tmp_path: Path) -> None:
    """``camtui export | less``: the driver tidies its file meanwhile, and nothing is missing."""
    run = make_run(tmp_path / "run.db", images=1500, methods=["gradcam"], curves=False)
    words = [sys.executable, "-m", "camtui", "export", str(run), "--per-image"]
    whole = subprocess.run(words, check=True, capture_output=True).stdout
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE) as export,
        closing(sqlite3.connect(run, isolation_level=None)) as driver,
    ):
        assert export.stdout is not None
        begun = export.stdout.read(1)
        limit = time.monotonic() + PATIENCE
        while True:
            driver.execute("UPDATE run SET heartbeat = heartbeat + 1")
            (held_back, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not held_back:
                break
            assert time.monotonic() < limit
            time.sleep(0.1)
        assert export.poll() is None, "it has still to be read"
        assert begun + export.stdout.read() == whole
    assert export.returncode == 0

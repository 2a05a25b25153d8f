"""``camtui ls``: which runs there are, and which of them are asked for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import COMMAND, PATIENCE
from tests.synthetic import make_run


def test_listing_and_removing(home: Path) -> None:
    assert typed("ls").stderr == "there is no run yet: camtui run --demo\n"
    make_run(home / "runs" / "pictures.db", images=4)
    make_run(home / "runs" / "second.db", images=4)
    (home / "runs" / "foreign.db").write_bytes(b"not a database at all, whatever its name says")
    runs = {run["run"]: run["state"] for run in json.loads(typed("ls", "--json").stdout)["runs"]}
    assert runs == {"second": "complete", "pictures": "complete", "foreign": "unreadable"}
    short = typed("ls", "--limit", "1")
    assert len(short.stdout.splitlines()) == 2
    assert short.stderr == "2 more: camtui ls --all\n"
    assert [
        run["run"]
        for run in json.loads(typed("ls", "--json", "--filter", "state=complete, sec").stdout)[
            "runs"
        ]
    ] == ["second"]
    assert typed("ls", "--filter", "state=unreadable").stdout.splitlines()[1].startswith("foreign ")
    assert typed("ls", "--filter", "images>12").exit_code == 4
    assert typed("rm", "second").exit_code == 2  # nobody to ask
    assert typed("rm", "second", "-y").exit_code == 0
    assert not list((home / "runs").glob("second*"))
    assert typed("status", "second").exit_code == 4


def _as_directory(path: Path) -> None:
    path.mkdir()


def _as_fifo(path: Path) -> None:
    os.mkfifo(path)


def _as_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _without_permission(path: Path) -> None:
    make_run(path.with_name("made.sqlite")).rename(path)
    path.chmod(0)


def _as_garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all, whatever its name says")


def _as_loop(path: Path) -> None:
    path.symlink_to(path)


UNREADABLE = [
    pytest.param(_without_permission, "permission denied", id="permission"),
    pytest.param(_as_directory, "a directory", id="directory"),
    pytest.param(_as_fifo, "a FIFO", id="fifo"),
    pytest.param(_as_socket, "a socket", id="socket"),
    pytest.param(Path.touch, "empty", id="empty"),
    pytest.param(_as_garbage, "file is not a database", id="garbage"),
    pytest.param(lambda path: path.symlink_to("/dev/zero"), "a device", id="device"),
    pytest.param(lambda path: path.symlink_to("nowhere"), "a link to nothing", id="dangling"),
    pytest.param(_as_loop, "too many levels of symbolic links", id="loop"),
]

OBEYING = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if not os.geteuid() else ()
"""Root, too, is held to the modes of files."""


def obeying(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*OBEYING, *COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.long
@pytest.mark.parametrize(("make", "why"), UNREADABLE)
def test_one_file_that_cannot_be_read_shuts_no_door(
    home: Path, make: Callable[[Path], None], why: str
) -> None:
    (home / "runs").mkdir()
    good, other = home / "runs" / "good.db", home / "runs" / "other.db"
    make_run(good)
    make(other)
    os.utime(good, (1, 1))
    listed = obeying("ls")
    assert listed.returncode == 0
    first, second = sorted(listed.stdout.splitlines()[1:])
    assert first.startswith("good   complete")
    assert second.startswith("other  unreadable (")
    assert why in second
    shown = obeying("status")
    assert (shown.returncode, shown.stdout.split()[1]) == (0, "good")
    assert obeying().stdout == shown.stdout
    assert "no run is under way" in obeying("stop").stderr
    for path in ("other", str(other)):
        refused = obeying("status", path)
        assert refused.returncode == 4
        assert str(other) in refused.stderr
        assert why in refused.stderr or why == "empty"
        assert "whole?" not in refused.stderr

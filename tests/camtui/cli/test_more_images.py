"""A run takes no image that nobody asked for."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from camtui.status import status_in
from tests.camtui.cli.support import ask, typed
from tests.evaluator.execution.support import COMMAND


def images(home: Path) -> int:
    return status_in(home / "runs" / "pictures.db").images


def answered(home: Path, answer: bytes) -> tuple[int, str]:
    """The same command without ``-n`` on a terminal; exit code and what was asked."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *ask(home), "--no-watch"],
        stdin=slave,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    os.close(slave)
    os.write(master, answer + b"\n")
    assert process.stderr is not None
    said = process.stderr.read().decode()
    code = process.wait(60)
    process.stderr.close()
    os.close(master)
    return code, said


def test_without_a_terminal_it_is_refused_before_anything_happens(home: Path) -> None:
    assert typed(*ask(home), "-n", "8", "-q").exit_code == 0
    refused = typed(*ask(home))
    assert refused.exit_code == 2
    assert refused.stderr.splitlines() == [
        "error: pictures has the first 8 of 12 images, and -n is not given",
        "hint:  -n 8 keeps to them, --all takes every image",
    ]
    assert images(home) == 8
    assert typed(*ask(home), "-n", "8", "--all").exit_code == 2
    assert typed(*ask(home), "--all", "-q").exit_code == 0
    assert images(home) == 12
    assert typed(*ask(home), "-q").exit_code == 0, "there is nothing to ask any more"


def test_on_a_terminal_it_is_asked(home: Path) -> None:
    assert typed(*ask(home), "-n", "8", "-q").exit_code == 0
    code, said = answered(home, b"n")
    assert (
        "pictures has the first 8 of 12 images; take the other 4 too, for every method it has? "
        "[y/N]" in said
    )
    assert (code, images(home)) == (0, 8)
    code, _ = answered(home, b"y")
    assert (code, images(home)) == (0, 12)


def test_a_folder_that_holds_no_more_is_no_question(home: Path) -> None:
    assert typed(*ask(home), "-n", "12", "-q").exit_code == 0
    assert typed(*ask(home), "-q").exit_code == 0

"""Lines of the log: their format, what is escaped in them, and a log that cannot be written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evaluator.execution import run_log
from evaluator.execution.run_log import LOGGER
from tests.evaluator.execution.support import ROOT

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@contextmanager
def standard_error_to(path: str) -> Iterator[None]:
    """Descriptor 2 leads to that file, opened for writing."""
    kept, other = os.dup(2), os.open(path, os.O_WRONLY)
    os.dup2(other, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(other)


def test_a_line_has_time_level_and_text(capfd: pytest.CaptureFixture[str]) -> None:
    LOGGER.warning("paused: 100 % full")
    LOGGER.info("goes on")
    first, second = capfd.readouterr().err.splitlines()
    assert re.fullmatch(rf"{TIME} warning paused: 100 % full", first)
    assert re.fullmatch(rf"{TIME} info    goes on", second)


def test_a_traceback_follows_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("a name with $(touch a) in it")
    except ValueError:
        LOGGER.exception("worker 1: an exception in unit 3")
    first, *rest = capfd.readouterr().err.splitlines()
    assert re.fullmatch(rf"{TIME} error   worker 1: an exception in unit 3", first)
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: a name with \\x24(touch a) in it"


def test_a_name_that_is_not_unicode_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    LOGGER.info(os.fsdecode(b"caf\xe9.jpg"))
    assert "caf\\udce9.jpg" in capfd.readouterr().err


def test_a_line_without_room_is_lost_and_nothing_raised(capfd: pytest.CaptureFixture[str]) -> None:
    with standard_error_to("/dev/full"):
        LOGGER.error("nobody reads this")
    assert capfd.readouterr().err == ""


def test_a_root_handler_gets_no_second_copy(tmp_path: Path) -> None:
    code = (
        "import logging; logging.basicConfig();"
        "from evaluator.execution.run_log import LOGGER; LOGGER.info('once')"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr.count("once") == 1


def test_a_log_that_has_grown_too_long_is_cut_to_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"begun\n" + b"x" * 1000)
    assert run_log.bound_log(descriptor, most=2000, kept=6) == 0
    os.write(descriptor, b"x" * 1000)
    assert run_log.bound_log(descriptor, most=2000, kept=6) == 2000
    os.write(descriptor, b"more")
    os.close(descriptor)
    assert log.read_bytes() == b"begun\n\nmore"

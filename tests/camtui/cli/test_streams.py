"""What terminals and pipes do to a command: wrong bytes, signals, full disks, old encodings."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from tests.camtui.cli.support import (
    COMMAND,
    SECONDS,
    eventually,
    read_until,
    terminal,
)

FULL = Path("/dev/full")


def state_of(pid: int) -> str:
    """The letter of a process's state: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_raw(terminal: int) -> bool:
    return not termios.tcgetattr(terminal)[3] & termios.ECHO


def test_a_byte_that_is_no_utf_8_is_dropped_and_the_keys_beside_it_count(two_runs: Path) -> None:
    with terminal("watch", "good") as (dashboard, ours):
        read_until(ours, b"good")
        os.write(ours, b"\xff\xc3(\xe9")
        os.write(ours, b"\xfe?\xff")
        read_until(ours, b"close")
        os.write(ours, b"q\xf0")
        os.write(ours, b"\xf0q")
        read_until(ours, b"\x1b[?1049l")
        assert dashboard.wait(SECONDS) == 0


def test_a_termination_puts_the_terminal_back(two_runs: Path) -> None:
    with terminal("watch", "good") as (dashboard, ours):
        read_until(ours, b"good")
        assert is_raw(ours)
        dashboard.send_signal(signal.SIGTERM)
        read_until(ours, b"\x1b[?1049l")
        assert dashboard.wait(SECONDS) == 128 + signal.SIGTERM
        assert not is_raw(ours)


def test_ctrl_z_suspends_and_comes_back(two_runs: Path) -> None:
    with terminal("watch", "good") as (dashboard, ours):
        read_until(ours, b"good")
        os.write(ours, b"\x1a")
        read_until(ours, b"\x1b[?1049l")
        eventually(lambda: state_of(dashboard.pid) == "T")
        assert not is_raw(ours)
        dashboard.send_signal(signal.SIGCONT)
        read_until(ours, b"\x1b[?1049h")
        eventually(lambda: is_raw(ours))
        os.write(ours, b"q")
        assert dashboard.wait(SECONDS) == 0


def test_a_dumb_terminal_gets_plain_lines(two_runs: Path) -> None:
    with terminal("watch", "good", TERM="dumb") as (watching, ours):
        read_until(ours, b"complete")
        assert watching.wait(SECONDS) == 0
        assert not is_raw(ours)


def test_a_terminal_that_is_not_unicode_gets_ascii(two_runs: Path) -> None:
    with terminal("watch", "good", PYTHONIOENCODING="latin-1") as (dashboard, ours):
        read_until(ours, b"good")
        os.write(ours, b"q")
        seen = b""
        while b"\x1b[?1049l" not in seen:
            seen += os.read(ours, 65536)
        assert seen.isascii()
        assert dashboard.wait(SECONDS) == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift_jis"])
@pytest.mark.parametrize("command", [("table",), ("show",), ("status",), ("ls",)])
def test_an_encoding_that_lacks_characters_gets_look_alikes(
    two_runs: Path, encoding: str, command: tuple[str, ...]
) -> None:
    asked = [*command] if command == ("ls",) else [*command, "good"]
    done = subprocess.run(
        [*COMMAND, *asked],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "good" in done.stdout.decode(encoding)


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "command", ["table good", "show good --json", "export good --per-image -o - -f csv", "methods"]
)
def test_a_full_disk_behind_standard_output_is_named(two_runs: Path, command: str) -> None:
    with FULL.open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "doctor" not in done.stderr


@pytest.mark.parametrize("closing", [">&-", "<&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_end_in_a_sentence_or_in_nothing(
    two_runs: Path, closing: str
) -> None:
    line = f'"{COMMAND[0]}" -m camtui table good {closing}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == int(">&- " in f"{closing} ".replace("2>&- ", ""))
    assert "Traceback" not in done.stderr
    if closing == ">&-":
        assert "standard output cannot be written: closed" in done.stderr

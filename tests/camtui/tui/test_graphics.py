"""Kitty and sixel graphics on a real pty, whose terminal answers at once, late, and very late."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.evaluator.execution.support import PATIENCE

pytest.importorskip("textual_image", reason='pip install "camtui[images]"')

CAMTUI = str(Path(sys.executable).with_name("camtui"))
ASKED_BY_THE_LIBRARY = re.compile(rb"\x1b\[16t|\x1b\[c|\x1b_G[^\x1b]*a=q[^\x1b]*\x1b\\")
ANSWERS = {
    re.compile(rb"\x1b\[c"): b"\x1b[?62;4c",
    re.compile(rb"\x1b\[16t"): b"\x1b[6;20;10t",
    re.compile(rb"\x1b_G[^\x1b]*a=q[^\x1b]*\x1b\\"): b"\x1b_Gi=1;OK\x1b\\",
    re.compile(rb"\x1b\[\?2026\$p"): b"\x1b[?2026;2$y",
    re.compile(rb"\x1b\[\?2048\$p"): b"\x1b[?2048;0$y",
}


class Terminal:
    """The other end of a pty; whatever it is asked it answers ``delay`` seconds later."""

    def __init__(self, master: int, delay: float) -> None:
        self._master, self._delay = master, delay
        self.all = b""
        self._answered: dict[bytes, int] = {}
        self._due: list[tuple[float, bytes]] = []

    def until(self, wanted: bytes, seconds: float = PATIENCE) -> bytes:
        """The bytes that come until these bytes have come."""
        begun, end = len(self.all), time.monotonic() + seconds
        while wanted not in self.all[begun:]:
            assert time.monotonic() < end, f"{wanted!r} never came: {self.all[-2000:]!r}"
            self.listen(0.02)
        return self.all[begun:]

    def rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.listen(0.02)

    def listen(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            self.all += os.read(self._master, 65536)
        now = time.monotonic()
        for question, answer in ANSWERS.items():
            asked = len(question.findall(self.all))
            self._due += [(now + self._delay, answer)] * (asked - self._answered.get(answer, 0))
            self._answered[answer] = asked
        for moment, answer in list(self._due):
            if moment <= now:
                self.type(answer)
                self._due.remove((moment, answer))

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)


@contextmanager
def watching(run: Path, delay: float, *options: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [CAMTUI, "watch", str(run), "--image", "0", *options],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    terminal = Terminal(master, delay)
    try:
        yield terminal
    finally:
        process.terminate()
        end = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < end:
            with suppress(OSError):  # it has closed the terminal
                terminal.listen(0.02)  # what it still writes has to be read
        process.kill()
        process.wait()
        os.close(master)
    assert process.returncode != -signal.SIGKILL, "it ends when it is told to"


@pytest.mark.parametrize(
    ("images", "delay"), [("kitty", 0.0), ("kitty", 0.15), ("kitty", 1.0), ("sixel", 1.0)]
)
def test_late_answers_neither_change_the_picture_nor_type_keys(
    seeded: Path, images: str, delay: float
) -> None:
    with watching(seeded, delay, "--images", images) as terminal:
        terminal.until(b"confidence")
        terminal.rest(delay)
        terminal.type(b"i")
        terminal.until({"kitty": b"\x1b_G", "sixel": b"\x1bP"}[images])
        terminal.rest(delay + 0.2)
        assert not ASKED_BY_THE_LIBRARY.search(terminal.all), (
            "the user has said what the terminal can do"
        )
        terminal.type(b"\x1b")
        shown = terminal.until(b"confidence")
        assert "turbo, α 0.75".encode() in shown, (
            "an answer that were taken for keys would have changed colours or metric"
        )
        assert b"by ADCC" in shown


def test_half_cells_ask_the_terminal_nothing_about_graphics(seeded: Path) -> None:
    with watching(seeded, 0.0) as terminal:
        terminal.until(b"confidence")
        terminal.type(b"i")
        terminal.until(b"full resolution needs")
        assert not ASKED_BY_THE_LIBRARY.search(terminal.all)
        assert b"\x1b_G" not in terminal.all
        assert b"\x1bP" not in terminal.all

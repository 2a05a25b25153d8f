"""The dashboard in a real terminal: tmux types the keys and reads the pane."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CAMTUI = str(Path(sys.executable).with_name("camtui"))

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Pane:
    def __init__(self, socket: Path, command: str, environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        start = [*self._tmux, "new-session", "-d", "-x", "80", "-y", "24", f"{command}; echo LEFT $?; sleep 60"]
        subprocess.run(start, check=True, env=environment)

    def keys(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def text(self, *options: str) -> str:
        return subprocess.run([*self._tmux, "capture-pane", "-p", *options], check=True, capture_output=True, text=True).stdout

    def until(self, true: Callable[[str], bool], *options: str) -> str:
        end = time.monotonic() + 90
        while not true(text := self.text(*options)):
            assert time.monotonic() < end, f"never came:\n{text}"
            time.sleep(0.05)
        return text

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[Callable[..., Pane]]:
    opened: list[Pane] = []

    def open_pane(command: str, **extra: str) -> Pane:
        environment = {**os.environ, "LANG": "C.UTF-8", "CAMTUI_HOME": str(tmp_path / "home"), **extra}
        environment.pop("TMUX", None)
        opened.append(Pane(tmp_path / "tmux", command, environment))
        return opened[-1]

    yield open_pane
    for one in opened:
        one.close()


def test_keys_reach_the_screens_and_q_leaves(pane: Callable[..., Pane], seeded: Path) -> None:
    terminal = pane(f"{CAMTUI} watch {seeded}")
    terminal.until(lambda text: "gradcampp" in text and "⏎ open" in text)
    terminal.keys("Enter")
    terminal.until(lambda text: "Worst images by ADCC" in text)
    terminal.keys("Enter")
    text = terminal.until(lambda text: "1/38" in text and "▀▀▀▀" in text)
    assert "confidence" in text
    terminal.keys("]")
    terminal.until(lambda text: "2/38" in text)
    terminal.keys("Escape")
    terminal.until(lambda text: "Worst images" in text)
    terminal.keys("1", "?")
    terminal.until(lambda text: "everywhere" in text)
    terminal.keys("Escape")
    terminal.until(lambda text: "⏎ open" in text)
    terminal.keys("q")
    terminal.until(lambda text: "LEFT 0" in text)


def test_without_colour_no_colour_is_sent(pane: Callable[..., Pane], seeded: Path) -> None:
    terminal = pane(f"{CAMTUI} watch {seeded}", NO_COLOR="1")
    text = terminal.until(lambda text: "gradcampp" in text, "-e")
    numbers = {part for piece in text.split("\x1b[")[1:] for part in piece.partition("m")[0].split(";")}
    assert not {n for n in numbers if n.isdigit() and ((30 <= int(n) <= 49 and n not in ("39", "49")) or int(n) >= 90)}
    terminal.keys("q")


def test_ctrl_c_leaves_with_a_plain_terminal(pane: Callable[..., Pane], seeded: Path) -> None:
    terminal = pane(f"{CAMTUI} watch {seeded} --ascii --no-mouse")
    terminal.until(lambda text: "gradcampp" in text and text.isascii())
    terminal.keys("C-c")
    terminal.until(lambda text: "LEFT 0" in text)


def test_no_run_yet(pane: Callable[..., Pane]) -> None:
    terminal = pane(CAMTUI)
    terminal.until(lambda text: "camtui run --demo" in text)
    terminal.keys("q")
    terminal.until(lambda text: "LEFT 0" in text)

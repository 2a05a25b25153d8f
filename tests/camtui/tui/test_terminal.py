"""The dashboard in a real terminal: tmux types the keys and reads the pane."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evaluator.store.audit import audit
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import ask, closed, home
from tests.evaluator.execution.support import PATIENCE, camtui

__all__ = ["closed", "home"]

CAMTUI = str(Path(sys.executable).with_name("camtui"))

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Pane:
    def __init__(self, socket: Path, command: str, environment: dict[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        start = [
            *self._tmux,
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            f"{command}; echo LEFT $?; sleep 60",
        ]
        subprocess.run(start, check=True, env=environment)

    def keys(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def text(self, *options: str) -> str:
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p", *options],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def until(self, true: Callable[[str], bool], *options: str) -> str:
        end = time.monotonic() + PATIENCE
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
        environment = {
            **os.environ,
            "LANG": "C.UTF-8",
            "CAMTUI_HOME": str(tmp_path / "home"),
            **extra,
        }
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
    text = terminal.until(lambda text: "1/38" in text and "▀" in text)
    assert "confidence" in text
    terminal.keys("]")
    terminal.until(lambda text: "2/38" in text)
    terminal.keys("Escape")
    terminal.until(lambda text: "Worst images" in text)
    terminal.keys("1", "?")
    terminal.until(lambda text: "metric: the next metric" in text)
    terminal.keys("Escape")
    terminal.until(lambda text: "⏎ open" in text)
    terminal.keys("q")
    terminal.until(lambda text: "LEFT 0" in text)


def test_without_colour_no_colour_is_sent(pane: Callable[..., Pane], seeded: Path) -> None:
    terminal = pane(f"{CAMTUI} watch {seeded}", NO_COLOR="1")
    text = terminal.until(lambda text: "gradcampp" in text, "-e")
    numbers = {
        part for piece in text.split("\x1b[")[1:] for part in piece.partition("m")[0].split(";")
    }
    assert not {
        n
        for n in numbers
        if n.isdigit() and ((30 <= int(n) <= 49 and n not in ("39", "49")) or int(n) >= 90)
    }
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


# -- a run on a terminal: the hand-off, leaving, and watchers that die
# --------------------------------------------------------


@pytest.fixture
def driver_of(home: Path) -> Iterator[Callable[[], int | None]]:
    path = home / "runs" / "pictures.db"
    yield lambda: lock_holder(path)
    driver = lock_holder(path)
    if driver is not None:
        os.killpg(driver, signal.SIGKILL)


def test_camtui_run_opens_the_dashboard_and_leaving_it_stops_nothing(
    pane: Callable[..., Pane],
    home: Path,
    closed: Path,
    driver_of: Callable[[], int | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading = home / "loading"
    loading.touch()
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps({"gate": str(closed), "load_gate": str(loading)}))
    terminal = pane(" ".join((CAMTUI, *ask(home))), CAMTUI_HOME=str(home))
    terminal.until(lambda text: "◌ STARTING" in text and "12 images listed and hashed" in text)
    terminal.until(lambda text: "resnet50: loading its weights" in text)
    loading.unlink()
    terminal.until(lambda text: "● RUNNING" in text and "q detach" in text)
    driver = driver_of()
    assert driver is not None
    terminal.keys("x")
    terminal.until(lambda text: "No, leave it as it is" in text)
    terminal.keys("Down", "Enter")
    terminal.until(lambda text: "STOPPING" in text)
    terminal.keys("q")
    text = terminal.until(lambda text: "LEFT 0" in text)
    assert "detached; pictures continues. Back to it: camtui watch pictures" in text.replace(
        "\n", ""
    )
    assert driver_of() == driver, "its units are in flight still, and nobody waited for them"


def test_a_run_that_cannot_begin_ends_in_plain_text_and_leaves_nothing(
    pane: Callable[..., Pane], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading = home / "loading"
    loading.touch()
    knobs = {"load_gate": str(loading), "unavailable": ["resnet50"]}
    monkeypatch.setenv("CAMTUI_FAKE", json.dumps(knobs))
    terminal = pane(" ".join((CAMTUI, *ask(home))), CAMTUI_HOME=str(home))
    terminal.until(lambda text: "◌ STARTING" in text)
    loading.unlink()
    text = terminal.until(lambda text: "LEFT" in text)
    assert "error:" in text
    assert "resnet50" in text
    assert "LEFT 0" not in text
    assert "STARTING" not in text, "the terminal is as it was"
    assert not (home / "runs" / "pictures.db").exists()


def test_watchers_that_are_killed_change_nothing(
    pane: Callable[..., Pane], home: Path, closed: Path, driver_of: Callable[[], int | None]
) -> None:
    assert camtui(*ask(home), "-d").returncode == 0
    driver, path = driver_of(), home / "runs" / "pictures.db"
    dashboard = pane(f"{CAMTUI} watch pictures", CAMTUI_HOME=str(home))
    dashboard.until(lambda text: "● RUNNING" in text)
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHER, str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"looking\n"
        process.kill()
        process.wait()
        process.stdout.close()
    dashboard.close()  # the terminal goes away under it, as when SSH drops
    assert driver_of() == driver
    closed.unlink()
    assert camtui("wait", "pictures").returncode == 0
    with RunReader(path) as reader:
        assert [summary.n for summary in reader.averages.summaries()] == [12, 12]
        assert audit(reader) == []


WATCHER = """
import sys, time
from pathlib import Path
from camtui.feed import Feed
feed = Feed(Path(sys.argv[1]))
with feed.reader.moment():  # killed while it reads: its lock on the log must not outlive it
    feed.reader.averages.summaries()
    print("looking", flush=True)
    time.sleep(60)
"""

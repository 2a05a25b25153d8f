"""The dashboard's measurable goals (spec, section 4), each with its figure.

python benchmarks/big_run.py /tmp/big.db
# start, commands, queries, idle tick, overlay
python benchmarks/dashboard.py /tmp/big.db
# how long keys and polls keep the screen's thread
python benchmarks/dashboard.py /tmp/big.db --thread
# from the driver's death to the state on the screen
python benchmarks/dashboard.py /tmp/big.db --crash
# bytes a second on a pty beside a writer, 80×24 and 140×40
python benchmarks/dashboard.py /tmp/big.db --bytes
# a writer alone, and beside three dashboards
python benchmarks/dashboard.py /tmp/big.db --writer
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from functools import partial
from pathlib import Path

import numpy as np
from big_run import Shape, _unit_rows, begin, fill

from camtui.feed import Feed
from camtui.tui.screens.cell import page
from evaluator.records import UnitResult
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader

CAMTUI = str(Path(sys.executable).with_name("camtui"))


def median(repeat: int, act: Callable[[], object]) -> float:
    """Milliseconds of the median call."""
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def say(goal: str, limit: str, figure: str) -> None:
    print(f"{goal:<58} goal {limit:<12} {figure}", flush=True)


class Terminal:
    """A dashboard on a pty, its bytes counted."""

    def __init__(
        self, path: Path, size: tuple[int, int], *options: str, colours: str = "256"
    ) -> None:
        self.began = time.perf_counter()
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "LINES": str(size[1]),
            "COLUMNS": str(size[0]),
        }
        environment.pop("NO_COLOR", None)
        if colours == "truecolor":
            environment["COLORTERM"] = "truecolor"
        else:
            environment.pop("COLORTERM", None)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(CAMTUI, [CAMTUI, "watch", str(path), *options], environment)
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def read(self, seconds: float, until: bytes = b"", quiet: float = 0.0) -> bytes:
        """What comes within that time, or until something has come.

        Or until nothing has come for ``quiet`` seconds.
        """
        end, got = time.perf_counter() + seconds, b""
        last = time.perf_counter()
        while time.perf_counter() < end:
            if select.select([self.fd], [], [], 0.005)[0]:
                try:
                    got += os.read(self.fd, 65536)
                except OSError:
                    break
                last = time.perf_counter()
                if until and until in got:
                    break
            elif quiet and got and time.perf_counter() - last > quiet:
                break
        return got

    def key(self, key: bytes) -> None:
        os.write(self.fd, key)

    def close(self) -> None:
        self.key(b"q")
        self.read(2)
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def measure_start(path: Path) -> None:
    times = []
    for _ in range(7):
        terminal = Terminal(path, (80, 24))
        terminal.read(10, until=b"scorecam")
        times.append(1000 * (time.perf_counter() - terminal.began))
        terminal.close()
    say(
        "1 camtui watch: first full grid on a pty",
        "≤ 500 ms",
        f"{statistics.median(times):.0f} ms (of {len(times)})",
    )


def measure_commands(path: Path) -> None:
    environment = {**os.environ, "CAMTUI_HOME": str(path.parent / "no-runs")}
    subprocess.run(
        [CAMTUI, "--help"], env=environment, capture_output=True, check=False
    )  # compiles
    for words in (["--help"], ["status", str(path)], ["ls"]):
        spent = median(
            9,
            partial(
                subprocess.run, [CAMTUI, *words], env=environment, capture_output=True, check=False
            ),
        )
        say(f"1 camtui {words[0]}", "≤ 150 ms", f"{spent:.0f} ms")


def measure_thread(path: Path) -> None:
    """A task that wants to run every 5 ms tells how long others kept it waiting.

    While keys go through every screen.
    """
    from camtui.tui.app import Dashboard

    gaps: dict[str, float] = {}

    async def watch(now_doing: list[str]) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            word, gap = now_doing[0], 1000 * (time.perf_counter() - began) - 5
            gaps[word] = max(gaps.get(word, 0.0), gap)

    async def use() -> None:
        app, now_doing = Dashboard(path), ["start"]
        async with app.run_test(size=(140, 40)) as pilot:
            watchdog = asyncio.create_task(watch(now_doing))
            for key in (
                "down",
                "m",
                "v",
                "v",
                "s",
                "2",
                "w",
                "b",
                "pagedown",
                "3",
                "right_square_bracket",
                "o",
                "A",
                "4",
                "5",
                "1",
            ):
                now_doing[0] = key
                await pilot.press(key)
                await pilot.pause(0.4)
            watchdog.cancel()

    asyncio.run(use())
    longest = sorted(gaps.items(), key=lambda item: -item[1])[:4]
    say(
        "2 the screen's thread is kept, longest",
        "≤ 50 ms",
        ", ".join(f"{key} {gap:.0f} ms" for key, gap in longest),
    )


def measure_crash() -> None:
    with tempfile.TemporaryDirectory() as folder:
        live, times = Path(folder) / "live.db", []
        for turn in range(5):
            shape = (
                "--images",
                "2000",
                "--fraction",
                "0.1",
                "--live",
                "--rate",
                "200",
                "--seconds",
                "60",
            )
            writer = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("big_run.py")), str(live), *shape]
            )
            while lock_holder(live) != writer.pid:
                time.sleep(0.1)
            terminal = Terminal(live, (80, 24))
            terminal.read(10, until=b"RUNNING")
            terminal.read(1 + turn / 7)
            writer.kill()
            began = time.perf_counter()
            terminal.read(15, until=b"CRASHED")
            times.append(time.perf_counter() - began)
            terminal.close()
            writer.wait()
    say(
        "6 driver killed → CRASHED on the screen",
        "≤ 10 s",
        f"{statistics.median(times):.1f} s, longest {max(times):.1f}",
    )


def measure_queries(path: Path) -> None:
    feed = Feed(path)

    def refresh() -> None:
        feed._seen = None
        feed.poll()

    say("2 one refresh, queries and snapshot", "≤ 2 ms", f"{median(200, refresh):.2f} ms")
    say("2 idle tick", "≤ 0.1 ms", f"{median(500, feed.poll):.3f} ms")
    with RunReader(path) as reader:
        by_adcc = median(50, lambda: reader.ranking.page(36, "adcc", ascending=True, limit=100))
        whole = median(20, lambda: page(reader, 36, "adcc", True, None))
        deep = reader.ranking.page(36, "adcc", ascending=True, limit=25_000)[-1]
        later = median(20, lambda: page(reader, 36, "adcc", True, deep))
        other = [
            median(20, partial(page, reader, 36, key, True, None))
            for key in ("average_drop", "coherency", "complexity")
        ]
    say(
        "2 worst 100 by ADCC: keys / keys, images and rows",
        "≤ 5 ms",
        f"{by_adcc:.2f} / {whole:.2f} ms",
    )
    say("2 the same behind image 25 000", "≤ 5 ms", f"{later:.2f} ms")
    say(
        "2 the same by drop, coherency, complexity (no index)",
        "≤ 5 ms",
        " / ".join(f"{one:.1f}" for one in other) + " ms",
    )


def measure_overlay() -> None:
    """An image with its overlay, from the key to the last byte, on real photographs."""
    data = Path(__file__).parents[2] / "shared" / "imagenet-sample"
    if not data.is_dir():
        say("8 overlay", "≤ 100 ms", f"not measured: no images at {data}")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photographs.db"
        fill(path, Shape(images=240, data=data))
        for colours, limit in (("256", "≤ 12 kB"), ("truecolor", "")):
            terminal = Terminal(path, (80, 24), "--image", "0", colours=colours)
            terminal.read(4)
            for _ in range(3):  # the overlay alone
                terminal.key(b"o")
                terminal.read(1, quiet=0.3)
            sizes, times = [], []
            for key in (b"]", b"[") * 8:
                began = time.perf_counter()
                terminal.key(key)
                got = terminal.read(1, quiet=0.15)
                times.append(1000 * (time.perf_counter() - began - 0.15))
                sizes.append(len(got))
            terminal.close()
            kilobytes = statistics.median(sizes) / 1000
            say(
                f"8 an overlay of 34×17 cells, key to last byte, {colours}",
                "≤ 100 ms",
                f"{statistics.median(times[2:]):.0f} ms",
            )
            figure = f"{kilobytes:.1f} kB, worst {max(sizes) / 1000:.1f}"
            say(f"8 its bytes with the lines around it, {colours}", limit, figure)


def measure_glyphs() -> None:
    """Time and bytes of photographs in quadrants over those in half cells, at 140 × 40 cells."""
    from PIL import Image
    from rich.console import Console

    from camtui.tui.image_text import strips

    data = Path(__file__).parents[2] / "shared/imagenet-sample"
    photographs = [
        np.asarray(Image.open(file).convert("RGB").resize((224, 224)))
        for file in sorted(data.rglob("*.JPEG"))[:8]
    ]
    for system, colours in (("truecolor", 1 << 24), ("256", 256)) if photographs else ():
        console = Console(color_system=system, force_terminal=True)  # type: ignore[arg-type]  # a Literal
        times, sizes = [], []
        for glyphs in ("quadrants", "halves"):
            draw = partial(strips, width=140, height=40, glyphs=glyphs, colours=colours)
            times.append(sum(median(5, partial(draw, picture)) for picture in photographs))
            drawn = [strip for picture in photographs for strip in draw(picture)]
            sizes.append(sum(len(strip.render(console).encode()) for strip in drawn))
        figure = f"{times[0] / times[1]:.2f} ×, {sizes[0] / sizes[1]:.2f} ×"
        say(f"8 quadrants over half cells, {system}: time, bytes", "≤ 2, 1.2 ×", figure)


def measure_bytes(path: Path) -> None:
    """Bytes a second while a writer commits ten times a second, six rows of the grid changing."""
    small, large, saving = (80, 24), (140, 40), ("--low-bandwidth",)
    for size, options, limit in (
        (small, (), "≤ 4 kB/s"),
        (large, (), "≤ 6 kB/s"),
        (small, saving, "≤ 1 kB/s"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            live = Path(folder) / "live.db"
            big_run = str(Path(__file__).with_name("big_run.py"))
            shape = (
                "--images",
                "20000",
                "--fraction",
                "0.1",
                "--live",
                "--rate",
                "2000",
                "--seconds",
                "45",
            )
            writer = subprocess.Popen([sys.executable, big_run, str(live), *shape])
            while not live.with_suffix(".db.lock").exists():
                time.sleep(0.2)
            terminal = Terminal(live, size, *options, colours="truecolor")
            terminal.read(6)
            got = len(terminal.read(20))
            terminal.close()
            writer.kill()
            writer.wait()
        words = " ".join([f"{size[0]}×{size[1]}", *options])
        say(f"3 steady state, {words}", limit, f"{got / 20 / 1000:.2f} kB/s")
    terminal = Terminal(path, (80, 24))
    terminal.read(4)
    say("3 idle, a finished run", "0 B/s", f"{len(terminal.read(8)) / 8:.0f} B/s")
    terminal.close()


def measure_writer(blocks: int = 8, units: int = 15, pause: float = 0.2) -> None:
    """A writer that commits 180 rows five times a second.

    Beside three dashboards that are awake and asleep by turns.

    Both are measured in the same minute on the same file, so that other work on the machine weighs
    on both alike.
    """
    shape = Shape(
        images=60 * blocks * units,
        methods=("gradcam", "gradcampp", "layercam"),
        backbones=("resnet50",),
    )
    commits: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "race.db"
        writer, _ = begin(path, shape)
        labels = np.zeros(shape.images, dtype=np.int64)
        terminals = [Terminal(path, (80, 24)) for _ in range(3)]
        for terminal in terminals:
            terminal.read(5)
        for unit in range(blocks * units):
            awake = unit // units % 2 == 0
            if unit % units == 0:
                for terminal in terminals:
                    os.kill(terminal.pid, signal.SIGCONT if awake else signal.SIGSTOP)
            rows = tuple(_unit_rows(shape, 0, labels, 60 * unit, 60 * unit + 60))
            end = time.perf_counter() + pause
            while time.perf_counter() < end:
                for terminal in terminals:
                    terminal.read(0.01)
            began = time.perf_counter()
            writer.rows.commit(UnitResult(rows))
            commits[awake].append(time.perf_counter() - began)
        for terminal in terminals:
            os.kill(terminal.pid, signal.SIGCONT)
            terminal.close()
        writer.close()
    asleep, awake_ = (1000 * statistics.median(commits[kind]) for kind in (False, True))
    lost = (awake_ - asleep) / (asleep + 1000 * pause)
    say("2 writer beside three dashboards, loss of throughput", "< 1 %", f"{100 * lost:.2f} %")
    say(
        "  a commit of 180 rows, dashboards asleep → awake",
        "",
        f"{asleep:.2f} → {awake_:.2f} ms (medians of {len(commits[True])})",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--bytes", action="store_true")
    parser.add_argument("--writer", action="store_true")
    parser.add_argument("--thread", action="store_true")
    parser.add_argument("--crash", action="store_true")
    given = parser.parse_args()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # else every start compiles camtui anew, which no installed one does
    if given.bytes:
        measure_bytes(given.path)
    elif given.writer:
        measure_writer()
    elif given.thread:
        measure_thread(given.path)
    elif given.crash:
        measure_crash()
    else:
        measure_start(given.path)
        measure_commands(given.path)
        measure_queries(given.path)
        measure_overlay()
        measure_glyphs()


if __name__ == "__main__":
    main()

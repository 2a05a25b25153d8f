"""Pictures for the documentation, from a real run.

The demo is started, watched while it computes, and looked into.

    python benchmarks/screenshots.py docs

Writes ``grid.svg``, ``cell.svg``, ``image.svg``, ``methods.svg``, and ``session.gif``, a session
from its start to its end; the last needs Chromium, which turns the screens into pixels. Takes as
long as ``camtui run --demo``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"  # read when textual is imported
os.environ.pop("NO_COLOR", None)

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI
from textual.pilot import Pilot

from camtui.tui.app import Dashboard
from camtui.tui.theme import Settings

LARGE, SMALL = (140, 40), (100, 30)
PICTURES = {
    "grid": (LARGE, ()),
    "cell": (SMALL, ("2",)),
    "image": (SMALL, ("3",)),
    "methods": ((120, 36), ("3", "A")),
}
WATCHED = 5
"""Looks at the run while it computes."""


@dataclass
class Session:
    """Frames of the moving picture: SVG text and seconds."""

    frames: list[tuple[str, float]] = field(default_factory=list)

    def terminal(self, *lines: str, seconds: float) -> None:
        """A terminal with these lines, the first a prompt."""
        console = Console(width=SMALL[0], height=SMALL[1], record=True, file=open(os.devnull, "w"))  # noqa: SIM115
        for line in lines:
            console.print(line, markup=False, highlight=False)
        for _ in range(SMALL[1] - len(lines)):
            console.print()
        self.frames.append((console.export_svg(title="camtui", theme=MONOKAI), seconds))

    def screen(self, app: Dashboard, seconds: float) -> None:
        """What the dashboard shows now."""
        self.frames.append((app.export_screenshot(title="camtui"), seconds))


def camtui(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "camtui", *words], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


async def settle(pilot: Pilot[int], seconds: float = 2.0) -> None:
    for _ in range(round(seconds / 0.1)):
        await pilot.pause(0.1)


async def picture(run: Path, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    app = Dashboard(run, Settings())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        return app.export_screenshot(title="camtui")


async def watch(run: Path, session: Session, seconds: float) -> None:
    """The dashboard while the run computes, then the worst image of the best method."""
    app = Dashboard(run, Settings())
    async with app.run_test(size=SMALL) as pilot:
        for _ in range(WATCHED):
            await settle(pilot, seconds / WATCHED)
            session.screen(app, 1.2)
        for keys, pause in (
            (("enter",), 2.0),
            (("enter",), 2.5),
            (("A",), 2.5),
            (("escape", "escape"), 1.5),
        ):
            for key in keys:
                await pilot.press(key)
                await settle(pilot)
            session.screen(app, pause)


def rasterised(svg: str, folder: Path, chromium: str) -> Image.Image:
    """A frame as pixels, half of its natural size."""
    source, target = folder / "frame.svg", folder / "frame.png"
    source.write_text(svg, "utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1240,780",
    ]
    command = [chromium, *options, f"--screenshot={target}", source.as_uri()]
    subprocess.run(command, capture_output=True, check=True)
    with Image.open(target) as pixels:
        return pixels.convert("RGB").resize((992, 624), Image.Resampling.LANCZOS)


def write_gif(session: Session, target: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print(f"{target} is left as it is: no Chromium", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as place:
        frames = [rasterised(svg, Path(place), chromium) for svg, _ in session.frames]
    reduced = [frame.quantize(96, dither=Image.Dither.NONE) for frame in frames]
    durations = [round(1000 * seconds) for _, seconds in session.frames]
    reduced[0].save(
        target, save_all=True, append_images=reduced[1:], duration=durations, loop=0, optimize=True
    )
    print(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    session = Session()
    with tempfile.TemporaryDirectory() as place:
        os.environ["CAMTUI_HOME"] = place
        session.terminal("$ camtui run --demo", seconds=1.5)
        begun = time.monotonic()
        said = camtui("run", "--demo", "--detach")
        run = Path(place) / "runs" / "demo.db"
        asyncio.run(watch(run, session, 60.0))
        camtui("wait", "demo")
        print(f"the demo took {time.monotonic() - begun:.0f} s", file=sys.stderr)
        session.terminal(
            "$ camtui run --demo",
            *said.splitlines(),
            "$ camtui wait demo && camtui table demo",
            *camtui("table", "demo").splitlines()[: SMALL[1] - 6],
            seconds=4.0,
        )
        for name, (size, keys) in PICTURES.items():
            (given.folder / f"{name}.svg").write_text(
                asyncio.run(picture(run, size, keys)), "utf-8"
            )
            print(given.folder / f"{name}.svg")
        write_gif(session, given.folder / "session.gif")


if __name__ == "__main__":
    main()

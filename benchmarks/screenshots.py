"""The five pictures of the dashboard in the README, from a real run of real photographs.

    python benchmarks/screenshots.py docs/images

Writes ``dashboard.png``, taken while the run computes, ``image.png``, ``gallery.png``,
``compare.png`` and ``play.png``. The photographs are scikit-image's, the networks EfficientNet-Lite
with their ImageNet weights. Needs Chromium, which turns the screens into pixels, and some minutes
on two cores. ``--home FOLDER`` keeps the runs, so that the next time takes one minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"  # read when textual is imported
os.environ.pop("NO_COLOR", None)

from PIL import Image
from textual.pilot import Pilot

from camtui.tui.app import Dashboard
from camtui.tui.screens.compare import CompareScreen
from camtui.tui.theme import Settings
from evaluator.images import DEMO_LABELS, demo_root

SIZE = (140, 40)
PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
NETWORK = "efficientnet_lite0"
NETWORKS = f"{NETWORK},efficientnet_lite1"
METHODS = (
    "finercam,reciprocam,gradcam,gradcampp,smoothgradcampp,layercam,ablationcam,eigencam,"
    "eigengradcam,fem,hirescam,fullgrad,centre,fakecam"
)
DARK = Settings(theme="okabe-dark")
SHOWN = Settings(cell=f"{NETWORK}/gradcam", image="chelsea", theme="okabe-dark")
"""Opens the image of the pictures with one image."""
FALLING = replace(SHOWN, image="coffee")
"""Opens one whose confidence falls without its salient pixels."""
PICTURES = {
    "image": ("o", "o"),
    "gallery": ("A",),
    "play": ("space", *["left"] * 30, *["right"] * 9),
}


def camtui(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "camtui", *words], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


async def settle(pilot: Pilot[int], seconds: float = 2.0) -> None:
    for _ in range(round(seconds / 0.1)):
        await pilot.pause(0.1)


async def picture(
    run: Path, keys: tuple[str, ...], settings: Settings, other: Path | None = None
) -> str:
    """What the dashboard shows after these keys, as SVG; ``other`` is compared with the run."""
    app = Dashboard(run, settings)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        if other is not None:
            assert app.connection is not None
            await app.push_screen(CompareScreen(app.connection, run, other))
            await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot, 0.2 if key in ("left", "right") else 2.0)
        await settle(pilot)
        return app.export_screenshot(title="camtui")


def rasterised(svg: str, folder: Path, chromium: str) -> Image.Image:
    """A screen as pixels, in its natural size."""
    source, target = folder / "frame.svg", folder / "frame.png"
    source.write_text(svg, "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command = [chromium, *options, "--window-size=1730,1030", f"--screenshot={target}"]
    subprocess.run([*command, source.as_uri()], capture_output=True, check=True)
    with Image.open(target) as pixels:
        return pixels.convert("RGB")


def started(folder: Path, name: str, *words: str) -> Path:
    """Start a run, or go on with it."""
    photographs = folder / "photographs"
    photographs.mkdir(exist_ok=True)
    for one in PHOTOGRAPHS:
        shutil.copy(demo_root() / one, photographs)
    data = ["--data", str(photographs), "--labels", str(DEMO_LABELS)]
    camtui("run", *data, *words, "--name", name, "--detach")
    return folder / "runs" / f"{name}.db"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, help="Where the runs are kept.")
    parser.add_argument("--only", help="One of the pictures.")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        parser.error("Chromium is not installed")
    given.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = given.home or Path(place)
        home.mkdir(exist_ok=True)
        os.environ["CAMTUI_HOME"] = str(home)
        os.environ["XDG_CONFIG_HOME"] = place

        def write(name: str, svg: str) -> None:
            drawn = rasterised(svg, Path(place), chromium).quantize(256, dither=Image.Dither.NONE)
            drawn.save(given.folder / f"{name}.png", optimize=True)
            print(given.folder / f"{name}.png")

        run = started(home, "photographs", "-b", NETWORKS, "-m", METHODS)
        if given.only in (None, "dashboard"):
            while json.loads(camtui("status", "photographs", "--json"))["progress"] < 0.6:
                time.sleep(0.5)
            write("dashboard", asyncio.run(picture(run, (), DARK)))
        camtui("wait", "photographs")
        played = started(home, "played", "-b", NETWORK, "-m", "gradcam", "--metric", "deletion")
        camtui("wait", "played")
        for name, keys in PICTURES.items():
            if given.only in (None, name):
                shown = (played, keys, FALLING) if name == "play" else (run, keys, SHOWN)
                write(name, asyncio.run(picture(*shown)))
        if given.only in (None, "compare"):
            other = started(home, "larger", "-b", NETWORKS, "-m", METHODS, "--resize", "256")
            camtui("wait", "larger")
            write("compare", asyncio.run(picture(run, ("F",), DARK, other)))


if __name__ == "__main__":
    main()

"""Pictures of the dashboard for the README: grid, cell, image and all methods, as SVG, from a synthetic run.

    python benchmarks/screenshots.py docs --data ../shared/imagenet-sample

Values and maps are synthetic (``big_run.py``); the photographs are those of the folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"  # read when textual is imported
os.environ.pop("NO_COLOR", None)

from big_run import Shape, fill
from textual.pilot import Pilot

from camtui.tui.app import Dashboard
from camtui.tui.settings import Settings

SHOTS = {
    "grid": ((100, 30), "", ()),
    "grid-wide": ((140, 40), "", ()),
    "cell": ((100, 30), "", ("2",)),
    "image": ((100, 30), "0", ()),
    "methods": ((120, 36), "0", ("A",)),
}


async def shoot(path: Path, folder: Path, name: str) -> None:
    size, image, keys = SHOTS[name]
    app = Dashboard(path, Settings(image=image, cell="resnet50/scorecam" if image else ""))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        (folder / f"{name}.svg").write_text(app.export_screenshot(title="camtui"), "utf-8")


async def settle(pilot: Pilot[int]) -> None:
    for _ in range(15):
        await pilot.pause(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "imagenet.db"
        os.environ["CAMTUI_HOME"] = place
        fill(path, Shape(images=2000, fraction=1.0, data=given.data, curves=True))
        for name in SHOTS:
            asyncio.run(shoot(path, given.folder, name))
            print(given.folder / f"{name}.svg")


if __name__ == "__main__":
    main()

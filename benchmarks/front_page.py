"""The first picture of the README: eight methods on three photographs.

    python benchmarks/front_page.py docs/images

Writes ``maps.jpg``; ``benchmarks/screenshots.py`` draws the dashboard. The photographs are
scikit-image's, the network is EfficientNet-Lite0 with its ImageNet weights.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from screenshots import camtui

from evaluator.images import demo_root
from evaluator.methods import all_methods

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")
METHODS = (
    "gradcam",
    "gradcampp",
    "smoothgradcampp",
    "layercam",
    "eigencam",
    "ablationcam",
    "reciprocam",
    "finercam",
)
NETWORK = "efficientnet_lite0"
TILE, GAP, TITLE, SCORE = 200, 8, 32, 32
"""Pixels: a map's side, between maps, height of the titles, height of the scores."""


def maps(folder: Path) -> Image.Image:
    """Rows are photographs, columns the photograph and its overlays, each with its ADCC."""
    photographs = folder / "photographs"
    photographs.mkdir()
    for name in PHOTOGRAPHS:
        shutil.copy(demo_root() / name, photographs)
    run = ["--data", str(photographs), "-b", NETWORK, "-m", ",".join(METHODS), "--name", "maps"]
    camtui("run", *run, "--foreground", "--quiet")
    camtui("export", "maps", "--per-image", "-o", str(folder / "rows.jsonl"))
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    scores = {(row["image"], row["method"]): 100 * row["adcc"] for row in rows}
    font = ImageFont.truetype("DejaVuSans.ttf", 20)
    width = (len(METHODS) + 1) * (TILE + GAP) - GAP
    sheet = Image.new("RGB", (width, TITLE + len(PHOTOGRAPHS) * (TILE + SCORE)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, method in enumerate(("", *METHODS)):
        x = column * (TILE + GAP)
        title = all_methods()[method].title if method else "photograph"
        draw.text((x + TILE / 2, 2), title, fill="black", font=font, anchor="ma")
        for row, name in enumerate(PHOTOGRAPHS):
            y = TITLE + row * (TILE + SCORE)
            tile = folder / f"{column}-{row}.png"
            cell = f"{NETWORK}/{method or METHODS[0]}"
            view = "overlay" if method else "input"
            camtui("image", "maps", cell, name, "--view", view, "-o", str(tile))
            with Image.open(tile) as drawn:
                shown = square(drawn.convert("RGB"))
            sheet.paste(shown.resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y))
            said = f"ADCC {scores[name, method]:.1f}" if method else ""
            draw.text((x + TILE / 2, y + TILE + 2), said, fill="black", font=font, anchor="ma")
    return sheet


def square(drawn: Image.Image) -> Image.Image:
    """The picture without the words above and below it."""
    side = drawn.width - 2 * 8
    top = next(
        y
        for y in range(drawn.height)
        if all(drawn.getpixel((x, y)) != (255, 255, 255) for x in range(8, drawn.width - 8, 16))
    )
    return drawn.crop((8, top, 8 + side, top + side))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        os.environ["CAMTUI_HOME"] = place
        maps(Path(place)).save(given.folder / "maps.jpg", quality=88)


if __name__ == "__main__":
    main()

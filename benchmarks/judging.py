"""The tables of benchmarks/judged.md: every metric judged on both drawn worlds and two networks.

    python benchmarks/judging.py OUT                     # 1,000 images
    python benchmarks/judging.py OUT --images 100        # to try it

Draws the images, makes three runs (the world ``shapes``; the world ``marks`` judged by the mark,
and by the whole object), each of both networks, trained and with random weights, and writes
``OUT/TABLES.md`` and a JSON file of each. Runs that are there go on: it may be stopped and started
again, and OUT grows with ``--images``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

METHODS = (
    "fakecam,randomcam,centre,gradcam,xgradcam,hirescam,gradcampp,smoothgradcampp,layercam,"
    "ablationcam,scorecam,eigencam,eigengradcam,kpcacam,fem,reciprocam,finercam,wrongclass"
)
RUNS = {"shapes": ("shapes", "masks"), "marks": ("marks", "evidence"), "object": ("marks", "masks")}
"""Name of the run → world, and the folder of its truth."""


def camtui(home: Path, *words: str) -> str:
    """Output of a command; its progress goes where this program's goes."""
    command = [sys.executable, "-m", "camtui", *words]
    environment = os.environ | {"CAMTUI_HOME": str(home)}
    return subprocess.run(command, env=environment, check=True, text=True, stdout=-1).stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of images, runs and tables")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--methods", default=METHODS)
    asked = parser.parse_args()
    out = asked.out.resolve()
    sections = []
    for name in asked.runs:
        world, truth = RUNS[name]
        folder, ending = out / world, "_marks" if world == "marks" else ""
        camtui(out, "synth", str(folder), "--images", str(asked.images), "--world", world)
        networks = [f"synthetic_{head}{ending}" for head in ("cnn", "gap")]
        backbones = [
            word for one in networks for word in ("-b", one, "-b", f"{one}:weights=random:0")
        ]
        data = ["--data", str(folder / "images"), "--truth", str(folder / truth), "--name", name]
        what = ["-m", asked.methods, "--metric", "all", "--curve-steps", "16"]
        begun = monotonic()
        camtui(out, "run", *data, *backbones, *what, "--all", "--device", "cpu", "-q")
        print(f"{name}: {(monotonic() - begun) / 60:.1f} min")
        tables = camtui(out, "judge", name, "-f", "md")
        sections.append(f"## {world}, judged by {truth}\n\n{tables}")
        (out / f"{name}.json").write_text(camtui(out, "judge", name, "--json"))
        (out / "TABLES.md").write_text("\n".join(sections))


if __name__ == "__main__":
    main()

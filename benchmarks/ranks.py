"""Which orders of methods survive the protocol: the runs and tables of benchmarks/results.md.

``python benchmarks/ranks.py --data ../shared/imagenet-sample`` makes the runs that are not there,
goes on with those that were stopped, and prints ``camtui ranks`` of them: eight of three networks
and eight methods, every combination of masking, target and resize; then six of two networks and
four methods with curves, which cost ten times as much: ``--curve-images 24`` takes fewer images for
them. ``--images 12`` tries it, ``--dry-run`` says how much there is to compute.

Needs labels for ``--target label``: folders named by ImageNet's ids.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations

ROWS = "gradcam,gradcampp,smoothgradcampp,layercam,ablationcam,eigencam,finercam,reciprocam"
CURVES = "gradcam,gradcampp,smoothgradcampp,layercam"
CHOICES = {
    "pixels": ("--masking", "pixels"),
    "label": ("--target", "label"),
    "wide": ("--resize", "256"),
    "black": ("--removed", "black"),
    "blur": ("--removed", "blur"),
    "risen": ("--removed", "blur", "--insertion-start", "blur"),
    "steps": ("--curve-steps", "56"),
}
COMBINED = ("pixels", "label", "wide")


def camtui(*words: str) -> None:
    """Run the command line of this interpreter's camtui; end where it fails."""
    done = subprocess.run([sys.executable, "-m", "camtui", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Make the runs one after another, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--curve-images", type=int, help="for the runs with curves")
    parser.add_argument("--dry-run", action="store_true", help="say what there is to compute")
    asked = parser.parse_args()
    networks = [word for number in range(3) for word in ("-b", f"efficientnet_lite{number}")]
    how = ("--dry-run",) if asked.dry_run else ("-F", "-q")

    def made(name: str, chosen: Sequence[str], *what: str, images: int = asked.images) -> str:
        choices = [word for one in chosen for word in CHOICES[one]]
        where = ("--data", asked.data, "-n", str(images), "--name", name)
        camtui("run", *where, *what, *choices, *how)
        return name

    rows = [
        made("-".join(("rows", *chosen)), chosen, *networks, "-m", ROWS)
        for count in range(len(COMBINED) + 1)
        for chosen in combinations(COMBINED, count)
    ]
    curves = [
        made(
            "-".join(("curves", *chosen)), chosen,
            *networks[:2], "-m", CURVES, "--metric", "deletion,insertion",
            images=asked.curve_images or asked.images,
        )
        for chosen in ((), *((one,) for one in CHOICES if one not in ("pixels", "wide")))
    ]  # fmt: skip
    if not asked.dry_run:
        camtui("ranks", *rows, "--metric", "adcc,average_drop")
        camtui("ranks", *curves, "--metric", "deletion,insertion")


if __name__ == "__main__":
    main()

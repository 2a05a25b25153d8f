"""Two runs at once on the same cores, and one alone.

By how long OpenMP's threads spin before they sleep (its default: 300000).

python benchmarks/sharing.py --data ../shared/imagenet-sample
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from machine import machine_line, write_json
from options import run_command

_SPINS = ("300000", "10000", "1000")
_METHODS = "fakecam,gradcam,gradcampp,layercam"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--images", type=int, default=48, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(machine_line())
    seconds: dict[tuple[str, int], list[float]] = {
        (spins, runs): [] for spins in _SPINS for runs in (1, 2)
    }
    for _ in range(options.rounds):
        for (spins, runs), taken in seconds.items():
            taken.append(together(options, spins, runs))
    results: list[dict[str, Any]] = []
    for spins in _SPINS:
        alone, two = (statistics.median(seconds[spins, runs]) for runs in (1, 2))
        print(
            f"  spins {spins:>6}: alone {alone:5.1f} s   two at once {two:5.1f} s   "
            f"{two / alone:.2f}"
        )
        results.append({"spins": int(spins), "alone": seconds[spins, 1], "two": seconds[spins, 2]})
    write_json(options, results)


def together(options: argparse.Namespace, spins: str, runs: int) -> float:
    """Seconds until the last of so many equal runs has ended."""
    with TemporaryDirectory() as home:
        environment = {**os.environ, "CAMTUI_HOME": home, "GOMP_SPINCOUNT": spins}
        command = run_command(options.data, options.backbone, _METHODS, options.images)
        begun = time.perf_counter()
        started = [
            subprocess.Popen(
                [*command, "--name", f"run{number}"], env=environment, stdout=subprocess.DEVNULL
            )
            for number in range(runs)
        ]
        if any(run.wait() for run in started):
            raise SystemExit("a run failed")
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()

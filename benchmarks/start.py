"""From ``camtui run`` typed to the first committed row.

Beside importing torch and loading the network in a bare process.

python benchmarks/start.py --data ../shared/imagenet-sample
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from machine import machine_line, write_json
from options import run_command

_BARE = """
import torch, torchvision
from evaluator.networks.backbone_loading import load_backbone
from evaluator.plan import BackboneSpec
load_backbone(BackboneSpec("{backbone}", "{weights}"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(machine_line())
    with TemporaryDirectory() as home:  # one home: what the first run searched for is remembered
        rounds = [
            (bare(options), first_row(options, Path(home), number))
            for number in range(options.rounds + 1)
        ][1:]
    beyond = [row - load for load, row in rounds]
    loads, rows = zip(*rounds, strict=True)
    print(
        f"  bare import and load {statistics.median(loads):.2f} s   first row "
        f"{statistics.median(rows):.2f} s"
    )
    print(
        f"  beyond it {statistics.median(beyond):.2f} s "
        f"({', '.join(f'{one:.2f}' for one in beyond)})"
    )
    write_json(options, [{"bare": load, "first_row": row} for load, row in rounds])


def bare(options: argparse.Namespace) -> float:
    begun = time.perf_counter()
    program = _BARE.format(backbone=options.backbone, weights=options.weights)
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return time.perf_counter() - begun


def first_row(options: argparse.Namespace, home: Path, number: int) -> float:
    database = home / "runs" / f"run{number}.db"
    command = [
        *run_command(options.data, options.backbone, "gradcam", 16, weights=options.weights),
        *("--name", database.stem),
    ]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env={**os.environ, "CAMTUI_HOME": str(home)}, stdout=subprocess.DEVNULL
    ) as run:
        while not rows_in(database):
            if run.poll():
                raise SystemExit(f"the run failed: {run.returncode}")
            time.sleep(0.01)
        return time.perf_counter() - begun


def rows_in(database: Path) -> int:
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection,
    ):
        return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])
    return 0


if __name__ == "__main__":
    main()

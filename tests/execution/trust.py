"""The full counts of the tests that earn trust: ``python -m tests.execution.trust --full`` (without it: a rehearsal).

200 workers and 200 drivers killed at random, 20 × 20 racing starts, 2000 steps of the state machine; one oracle after each.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings

from tests.execution.support import ROOT, Run, make_data, make_plan
from tests.execution.test_driver import race
from tests.execution.test_faults import kill_drivers, kill_workers
from tests.execution.test_schedule import TestScheduleAndStore


def turn(**values: Any) -> None:
    os.environ["CAMTUI_FAKE"] = json.dumps(values)


def fresh(folder: Path, images: int) -> Run:
    return Run(folder / "run.db", make_plan(make_data(folder / "data", images), metrics=("deletion",)))


def workers(full: bool) -> None:
    """Ten runs of twenty kills each, with other seeds."""
    for seed in range(10 if full else 1):
        with tempfile.TemporaryDirectory() as folder:
            kill_workers(fresh(Path(folder), 300 if full else 120), turn, kills=20 if full else 4, seed=seed)


def drivers(full: bool) -> None:
    """Ten runs of twenty kills each, with other seeds."""
    for seed in range(10 if full else 1):
        with tempfile.TemporaryDirectory() as folder:
            kill_drivers(fresh(Path(folder), 150), turn, kills=20 if full else 3, seed=seed)


def races(full: bool) -> None:
    """Twenty times twenty starters of one run."""
    for _ in range(20 if full else 1):
        with tempfile.TemporaryDirectory() as folder:
            run = fresh(Path(folder), 10)
            race(replace(run, plan=replace(run.plan, methods=("gradcam",))), turn, starters=20 if full else 4)


def state_machine(full: bool) -> None:
    """Forty stories of fifty steps."""
    case = TestScheduleAndStore
    case.settings = settings(case.settings, max_examples=40 if full else 5, stateful_step_count=50)
    case("runTest").runTest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the counts of the specification; about half an hour")
    parser.add_argument("--only", choices=["workers", "drivers", "races", "state_machine"])
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    parts: tuple[Callable[[bool], None], ...] = (workers, drivers, races, state_machine)
    for part in parts:
        if arguments.only in (None, part.__name__):
            begun = time.monotonic()
            part(arguments.full)
            print(f"{part.__name__}: held, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()

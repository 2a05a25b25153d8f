"""The tests of faults in full counts, and the list of where each is shown in small counts.

``python -m tests.evaluator.execution.fault_campaigns --full`` (without it: a rehearsal).

200 workers and 200 drivers killed at random, 20 × 20 racing starts, 2000 steps of the state
machine; one oracle after each. Then five readers beside a writer of 2000 rows a second, for which
the machine should be quiet.

The twelve tests of the specification, and where each is shown in small counts, by the default set
of tests:

 1. workers and drivers killed at random    test_faults.py: test_workers_that_are_killed…,
   test_drivers_that_are_killed…
 2. SIGKILL at each named crash point       test_faults.py: test_a_driver_killed_at_a_crash_point
 3. simultaneous starts, one winner         test_driver.py: test_of_racing_starts_one_wins
 4. hang-up, a launcher killed              test_faults.py, tests/camtui/cli/test_hang_up.py (real
   ptys, tmux with its dashboard)
 5. a full disk                             test_faults.py (max_page_count), test_disk.py (a tmpfs
   filled to the last byte)
 6. a corpus of bad images                  test_bad_images.py, through a real run
 7. a poison image                          test_faults.py:
   test_a_poison_image_is_found_and_costs_one_pair
 8. a hanging worker                        test_faults.py: test_a_hanging_worker_is_replaced
 9. a state machine over schedule and store test_schedule.py: ScheduleAndStore
10. the same table however it was cut       test_driver.py: test_the_same_rows_whatever…;
  test_worker.py, with the real evaluator
11. five readers beside a fast writer       tests/evaluator/store/test_reader.py; how long a look
  takes: here
12. the escape corpus                       test_escapes.py, test_hostile.py, tests/camtui/export
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

from tests.evaluator.execution import concurrent_readers
from tests.evaluator.execution.support import ROOT, Run, make_data, make_plan
from tests.evaluator.execution.test_driver import race
from tests.evaluator.execution.test_faults import kill_drivers, kill_workers
from tests.evaluator.execution.test_schedule import TestScheduleAndStore


def turn(**values: Any) -> None:
    os.environ["CAMTUI_FAKE"] = json.dumps(values)


def fresh(folder: Path, images: int) -> Run:
    return Run(
        folder / "run.db", make_plan(make_data(folder / "data", images), metrics=("deletion",))
    )


def workers(full: bool) -> None:
    """Ten runs of twenty kills each, with other seeds."""
    for seed in range(10 if full else 1):
        with tempfile.TemporaryDirectory() as folder:
            kill_workers(
                fresh(Path(folder), 300 if full else 120), turn, kills=20 if full else 4, seed=seed
            )


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
            race(
                replace(run, plan=replace(run.plan, methods=("gradcam",))),
                turn,
                starters=20 if full else 4,
            )


def state_machine(full: bool) -> None:
    """Forty stories of fifty steps."""
    case = TestScheduleAndStore
    case.settings = settings(case.settings, max_examples=40 if full else 5, stateful_step_count=50)
    case("runTest").runTest()


def readers(full: bool) -> None:
    """Half a minute of five readers; the 99th percentile of what a look takes stays under 20 ms."""
    with tempfile.TemporaryDirectory() as folder:
        figures = concurrent_readers.race(Path(folder), seconds=30 if full else 3)
    rate = figures.rows / figures.seconds
    p50, p99 = figures.percentile(0.5), figures.percentile(0.99)
    print(
        f"{len(figures.looks)} looks beside {rate:.0f} rows/s: median {p50:.1f} ms, p99 "
        f"{p99:.1f} ms, none refused",
        flush=True,
    )
    assert p99 < 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="the counts of the specification; about ten minutes"
    )
    parser.add_argument(
        "--only", choices=["workers", "drivers", "races", "state_machine", "readers"]
    )
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    parts: tuple[Callable[[bool], None], ...] = (workers, drivers, races, state_machine, readers)
    for part in parts:
        if arguments.only in (None, part.__name__):
            begun = time.monotonic()
            part(arguments.full)
            print(f"{part.__name__}: held, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()

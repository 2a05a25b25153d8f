"""How many workers one driver feeds.

1 to 16 Ray actors that sleep, the driver's own limit, 64 and 256 simulated workers.

``python -m benchmarks.scaling`` from the repository's root, with the extras ``ray`` and ``test``.
The evaluator is the tests' fake: an image costs a fixed sleep, so that sixteen workers need no
sixteen cores. Driver, loop, store and transactions are real.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from evaluator.execution import driver
from evaluator.execution.request import DriverSettings, RunRequest
from evaluator.execution.stages import block_size
from evaluator.interfaces import Executor, ExecutorEvent, SessionSettings
from evaluator.records import Unit, WorkerState
from tests.evaluator.execution.support import make_data, make_plan
from tests.fake_executor import FakeExecutor
from tests.fake_session import FakeSession

METHODS = ("gradcam", "gradcampp", "layercam")
UNIT = block_size(4, curves=False, cuda=False)


class Measured(NamedTuple):
    """From the first unit to the last commit.

    ``cpu``: seconds of the driver's process in between.
    """

    rows: int
    seconds: float
    cpu: float


class Clocked:
    """An executor that remembers when the first unit with images was handed to it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.begun: float | None = None
        self.ended: float | None = None
        self.cpu = 0.0

    def start(self) -> None:
        self._executor.start()

    def capacity(self) -> int:
        return self._executor.capacity()

    def takes(self, unit: Unit) -> bool:
        return self._executor.takes(unit)

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        if unit.images and self.begun is None:
            self.begun, self.cpu = time.perf_counter(), time.process_time()
        self._executor.submit(unit, timeout)

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        return self._executor.poll(timeout)

    def kill(self, worker: int) -> None:
        self._executor.kill(worker)

    def workers(self) -> Sequence[WorkerState]:
        return self._executor.workers()

    def close(self) -> None:
        if self.ended is None:
            self.ended, self.cpu = time.perf_counter(), time.process_time() - self.cpu
        self._executor.close()


def measured(
    data: Path,
    images: int,
    open_executor: Callable[[SessionSettings], Executor],
    device: str = "cpu",
) -> Measured:
    """A whole run, its driver in this process, its workers as the executor has them.

    Units are cut for the kind of device.
    """
    plan = make_plan(data, methods=METHODS, limit=images)
    clocked = Clocked(open_executor(SessionSettings(plan, str(data))))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "executor_of", lambda *_: clocked)
        request = RunRequest(
            Path(folder) / "run.db", "scaling", plan, DriverSettings(devices=(device,))
        )
        assert driver.carry_out(request, lambda _line: None) == 0
    assert clocked.begun is not None
    assert clocked.ended is not None
    return Measured(images * len(METHODS), clocked.ended - clocked.begun, clocked.cpu)


def simulated(workers: int, seconds: float) -> Callable[[SessionSettings], Executor]:
    """Workers that are entries in a calendar.

    The rows are made in the driver's process, which costs it 20 µs each.
    """
    return lambda settings: FakeExecutor(
        settings,
        workers,
        lambda s: FakeSession(s, {}),
        lambda unit: seconds if unit.images else 0.0,
    )


def on_ray(workers: int) -> Callable[[SessionSettings], Executor]:
    """Actors on the Ray that this process is connected to."""
    from tests.evaluator.execution.on_ray import open_executor

    return lambda settings: open_executor(settings, workers)


def report(title: str, workers: int, found: Measured, seconds: float) -> None:
    ideal = workers * UNIT * len(METHODS) / seconds if seconds else float("inf")
    rate = found.rows / found.seconds
    share = f"{rate / ideal:5.2f} of ideal" if seconds else ""
    print(
        f"{title:<12} {workers:>4} workers  {rate:>9.1f} rows/s  {share}  driver's CPU "
        f"{found.cpu / found.seconds:5.0%}",
        flush=True,
    )


def ray_turns(data: Path, counts: Iterable[int], seconds: float, units: int) -> None:
    from evaluator.execution.ray_cluster import start_private_ray

    (data / "fake.json").write_text(json.dumps({"seconds": seconds / UNIT}))
    leave = start_private_ray(cuda=False)
    try:
        for workers in counts:
            report("ray", workers, measured(data, workers * units * UNIT, on_ray(workers)), seconds)
    finally:
        leave()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="that a unit of 16 images × 3 methods sleeps"
    )
    parser.add_argument("--units", type=int, default=10, help="for each worker")
    parser.add_argument("--counts", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    arguments = parser.parse_args()
    most = max(UNIT * max(arguments.counts, default=1) * arguments.units, UNIT * 256 * 20, 16_384)
    with TemporaryDirectory() as folder:
        data = make_data(Path(folder) / "data", most)
        for device in ("cpu", "cuda"):
            report(f"driver, {device}", 1, measured(data, 16_384, simulated(1, 0.0), device), 0.0)
        for workers in (64, 256):
            report(
                "simulated",
                workers,
                measured(data, 20 * workers * UNIT, simulated(workers, 2.5)),
                2.5,
            )
        ray_turns(data, arguments.counts, arguments.seconds, arguments.units)


if __name__ == "__main__":
    main()

"""Data folders, requests to real drivers with the fake evaluator, and the oracle of their runs."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from camtui.launch import LaunchedRun, launch
from camtui.status import RunStatus, read_status
from evaluator.backbones import BackboneSpec
from evaluator.execution.request import DriverSettings, RunRequest
from evaluator.plan import RunPlan, validated
from evaluator.store.audit import audit
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from tests.fake_session import DOTTED, fake_measurement, fake_row

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-c", "from camtui.cli import main; main()")
METHODS = ("gradcam", "gradcampp", "scorecam")
PATIENCE = 300.0
"""Seconds after which what is waited for will not come, also where the machine is busy."""


def make_data(folder: Path, images: int, bad: int = 0) -> Path:
    """A flat folder of files that only the fake evaluator can read; the first ``bad`` are named so
    that it cannot either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        name = f"{'bad' if number < bad else 'img'}{number:05}.jpg"
        (folder / name).write_bytes(b"x" * (1 + number % 7))
    return folder


def maps_for(images: Path, folder: Path) -> Path:
    """A map of random numbers for every image."""
    chance = np.random.default_rng(0)
    for image in images.rglob("*.png"):
        place = folder / image.relative_to(images).with_suffix(".png.npy")
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, chance.random((16, 16)))
    return folder


def make_plan(data: Path, **changes: Any) -> RunPlan:
    plan = RunPlan(data=str(data), backbones=(BackboneSpec("resnet50"),), methods=METHODS)
    return validated(replace(plan, **changes))


@dataclass
class Run:
    """One run of the fake evaluator in a temporary folder."""

    db: Path
    plan: RunPlan
    settings: DriverSettings = field(
        default_factory=lambda: DriverSettings(session=DOTTED, retry_seconds=0.2)
    )

    def request(self, **changes: Any) -> RunRequest:
        values: dict[str, Any] = {
            "db": self.db,
            "name": self.db.stem,
            "plan": self.plan,
            "settings": self.settings,
            **changes,
        }
        return RunRequest(**values)

    def launch(self, **changes: Any) -> LaunchedRun:
        return launch(self.request(**changes))

    def status(self) -> RunStatus:
        with RunReader(self.db) as reader:
            return read_status(reader, self.db)

    def wait(self, seconds: float = PATIENCE) -> RunStatus:
        """The status once no driver holds the run."""
        self.wait_for_lock(seconds)
        return self.status()

    def end(self, **changes: Any) -> RunStatus:
        """Launch it, and return its status at the end."""
        self.launch(**changes)
        return self.wait()

    def wait_for_lock(self, seconds: float = PATIENCE) -> None:
        limit = time.monotonic() + seconds
        while lock_holder(self.db) is not None:
            assert time.monotonic() < limit, f"still {self.status()}\n{self.log()}"
            time.sleep(0.02)

    def wait_for_rows(self, rows: int, seconds: float = PATIENCE) -> None:
        limit = time.monotonic() + seconds
        while self.count_rows() < rows:
            assert time.monotonic() < limit, self.log()
            time.sleep(0.01)

    def count_rows(self) -> int:
        with RunReader(self.db) as reader:
            return sum(summary.n for summary in reader.averages.summaries())

    def log(self) -> str:
        log = self.request().log
        return log.read_text() if log.exists() else ""

    def events(self) -> list[str]:
        with RunReader(self.db) as reader:
            return [event.text for event in reader.events()]


def check(run: Run, *, complete: bool = True) -> None:
    """The oracle: rows are those of the plan less the declared failures, each right, none twice;
    sums agree; nobody is left.
    """
    with RunReader(run.db) as reader:
        plan, images = reader.plan(), reader.info().image_count
        failures = {(f.cell, f.image, f.metric) for f in reader.failures()}
        for cell in reader.cells():
            if not cell.applicable:
                assert not list(reader.rows.of_cell(cell.id))
                continue
            seen: set[int] = set()
            for row, image, curves in reader.rows.of_cell(cell.id):
                assert row == fake_row(cell.id, cell.backbone, cell.method, image.id)
                assert row.image not in seen
                seen.add(row.image)
                for metric, value in curves.items():
                    assert (
                        value
                        == fake_measurement(
                            cell.id, cell.backbone, cell.method, image.id, metric
                        ).value
                    )
                if complete:
                    missing = {
                        m
                        for m in plan.optional_metrics
                        if m not in curves and (cell.id, image.id, m) not in failures
                    }
                    assert not missing, (cell, image, missing)
            failed = {image for c, image, metric in failures if c == cell.id and not metric}
            assert not seen & failed
            if complete:
                assert seen | failed == set(range(images)), cell
        assert audit(reader) == []
    assert lock_holder(run.db) is None


def complete(run: Run, **changes: Any) -> None:
    """Launch a run; it ends as the oracle has it."""
    assert run.end(**changes).state == "complete", run.log()
    check(run)


def members_of(session: int) -> list[int]:
    """Processes of a driver's session that are alive: the driver and its workers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    found.append(int(folder.name))
    return found


def wait_until_gone(session: int, seconds: float = PATIENCE) -> None:
    limit = time.monotonic() + seconds
    while members := members_of(session):
        assert time.monotonic() < limit, (
            f"left over: {[Path(f'/proc/{pid}/cmdline').read_bytes() for pid in members]}"
        )
        time.sleep(0.02)


def workers_of(driver: int) -> list[int]:
    return [pid for pid in members_of(driver) if pid != driver]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def read_units(log: Path) -> list[dict[str, Any]]:
    """The units that the fake evaluator was given, in the order in which they were begun."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def camtui(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    values: dict[str, Any] = {
        "capture_output": True,
        "text": True,
        "stdin": subprocess.DEVNULL,
        "timeout": PATIENCE,
        **options,
    }
    return subprocess.run([*COMMAND, *arguments], check=False, **values)


def each_row(run: Run) -> Iterator[tuple[str, str, int, float]]:
    """(backbone, method, image, ADCC) of every row, for comparing runs."""
    with RunReader(run.db) as reader:
        for cell in reader.cells():
            for row, image, _ in reader.rows.of_cell(cell.id):
                yield cell.backbone, cell.method, image.id, row.adcc or 0.0


def take_terminal() -> None:
    """In a new session's leader: the terminal on standard input is ours; what it sends is heard,
    also under ``nohup pytest``.
    """
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

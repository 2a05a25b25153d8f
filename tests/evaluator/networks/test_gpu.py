"""A CUDA device gives the CPU's rows, within what precision allows. ``pytest -m gpu``
where there is one.
"""

from __future__ import annotations

import pytest
import torch

from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import open_session
from evaluator.plan import validated_plan
from evaluator.records import Precision, Row, Unit
from tests.shared import SAMPLE, needs_sample

pytestmark = [
    pytest.mark.gpu,
    needs_sample,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
METHODS = ("fakecam", "gradcam", "gradcampp", "smoothgradcampp", "layercam")


def rows_on(
    device: str, methods: tuple[str, ...], images: int, precision: Precision = "fp32"
) -> dict[tuple[int, int], Row]:
    plan = validated_plan(
        {
            "data": str(SAMPLE),
            "backbones": ["efficientnet_lite0"],
            "methods": list(methods),
            "precision": precision,
        }
    )
    session = open_session(SessionSettings(plan, str(SAMPLE), device))
    session.load(0)
    refs = find_images(SAMPLE, seed=0, limit=images).images
    result = session.evaluate(Unit(0, 0, 0, tuple(range(len(methods))), methods, refs))
    session.close()
    return {(row.cell, row.image): row for row in result.rows}


def test_cuda_gives_the_cpus_rows() -> None:
    expected, found = rows_on("cpu", METHODS, 12), rows_on("cuda", METHODS, 12)
    assert expected.keys() == found.keys()
    for key, row in expected.items():
        assert found[key].target == row.target
        for name in ("y", "o", "average_drop", "coherency", "complexity", "adcc"):
            assert getattr(found[key], name) == pytest.approx(getattr(row, name), abs=1e-3)


def test_mixed_precision_weighs_channels_alike() -> None:
    expected, found = rows_on("cuda", ("scorecam",), 2), rows_on("cuda", ("scorecam",), 2, "mixed")
    for key, row in expected.items():
        assert found[key].adcc == pytest.approx(row.adcc, abs=2e-2)


def test_the_same_unit_gives_the_same_bits_and_another_one_nearly_the_same() -> None:
    first, again, fewer = (rows_on("cuda", METHODS, images) for images in (12, 12, 5))
    assert first == again
    for key, row in fewer.items():
        for name in ("y", "o", "average_drop", "coherency", "complexity", "adcc"):
            assert getattr(first[key], name) == pytest.approx(getattr(row, name), abs=1e-4)

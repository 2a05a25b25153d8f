"""IS-CAM beside a loop over channels and mask strengths."""

from __future__ import annotations

import pytest

from evaluator.catalog import method
from tests.agreement import compared


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_agrees_with_the_slow_formula(network: str, steps: int) -> None:
    found = compared(network, f"iscam:n={steps}")
    assert found.varied
    assert found.largest < 1e-5


def test_defaults_are_the_specification_s() -> None:
    assert method("iscam").options == {"n": 10}

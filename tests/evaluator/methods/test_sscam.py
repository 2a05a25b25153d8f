"""SS-CAM beside a loop over channels and samples with the same noise."""

from __future__ import annotations

import pytest

from evaluator.catalog import method
from tests.agreement import compared


@pytest.mark.parametrize("options", ["n=3", "n=2,sigma=0.5"])
@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_agrees_with_the_slow_formula(network: str, options: str) -> None:
    found = compared(network, f"sscam:{options}")
    assert found.varied
    assert found.largest < 1e-5


def test_defaults_are_the_specification_s() -> None:
    assert method("sscam").options == {"n": 35, "sigma": 2.0}

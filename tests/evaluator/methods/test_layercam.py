"""LayerCAM beside the paper's formula."""

from __future__ import annotations

import pytest

from tests.agreement import compared


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_agrees_with_the_slow_formula(network: str) -> None:
    found = compared(network, "layercam")
    assert found.varied
    assert found.largest < 1e-5

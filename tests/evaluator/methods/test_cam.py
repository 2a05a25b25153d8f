"""CAM beside the papers' formula."""

from __future__ import annotations

import pytest

from evaluator.catalog import method
from evaluator.plan import applicable


@pytest.mark.parametrize(("gap_linear", "possible"), [(True, True), (False, False), (None, True)])
def test_needs_a_gap_linear_head(gap_linear: bool | None, possible: bool) -> None:
    assert applicable(method("cam"), gap_linear) is possible

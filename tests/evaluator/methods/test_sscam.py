"""SS-CAM: the passes of the specification."""

from __future__ import annotations

from evaluator.catalog import method


def test_defaults_are_the_specification_s() -> None:
    assert method("sscam").options == {"n": 35, "sigma": 2.0}

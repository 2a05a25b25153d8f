"""The methods there are: one per file, in the paper's order, each with what a listing shows."""

from __future__ import annotations

import pytest

from evaluator.methods import all_methods
from tests.reference import FIXED_MAPS, slow_form


def test_the_paper_s_order_then_by_name() -> None:
    keys = list(all_methods())
    assert keys[:7] == [
        "fakecam",
        "cam",
        "gradcam",
        "xgradcam",
        "gradcampp",
        "smoothgradcampp",
        "scorecam",
    ]
    assert keys[7:] == sorted(keys[7:])
    assert {"ablationcam", "iscam", "layercam", "sscam"} <= set(keys)


@pytest.mark.parametrize("key", list(all_methods()))
def test_every_method_has_a_slow_counterpart(key: str) -> None:
    assert key in FIXED_MAPS or callable(slow_form(key))


def test_controls_are_those_that_explain_nothing() -> None:
    assert {key for key, kind in all_methods().items() if kind.control} == {
        "fakecam",
        "randomcam",
        "centre",
        "wrongclass",
    }


@pytest.mark.parametrize("key", list(all_methods()))
def test_a_listing_has_what_it_shows(key: str) -> None:
    kind = all_methods()[key]
    assert kind.key == key
    assert kind.title
    assert kind.paper
    assert kind.weighs_by
    assert kind.__doc__
    assert kind().forwards(64, gap_linear=True) >= 1
    assert all(
        default in choices
        for name, choices in kind.choices.items()
        for default in [kind().options[name]]
    )

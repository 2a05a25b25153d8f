"""A rule's decision in words."""

from __future__ import annotations

from dataclasses import replace

from camtui.format.notes import look_text, more_text, short_forecast
from evaluator.records import Look

LOOK = Look("ci<=0.5", 120, 340, None, {}, ())


def test_a_rule_under_way() -> None:
    assert look_text(LOOK, 5000) == "ci<=0.5: 120 images looked at, about 220 more"
    assert short_forecast(LOOK, 5000) == "~220 more"


def test_before_anything_is_known() -> None:
    early = replace(LOOK, images=0, needed=None)
    assert more_text(early, 5000) == "how many it takes is known after 50, at most 5,000"
    assert short_forecast(early, 5000) == short_forecast(None, 5000) == ""


def test_a_rule_that_will_not_be_met() -> None:
    assert more_text(LOOK, 340) == "probably not met by all 340"
    assert short_forecast(LOOK, 340) == ""
    assert look_text(LOOK, 340, ended=True) == "ci<=0.5: not met by all 340 images"


def test_a_rule_that_is_met() -> None:
    met = replace(LOOK, images=350, needed=350, decided=350)
    assert look_text(met, 5000) == "ci<=0.5: met by the first 350 of 5,000 images"
    assert short_forecast(met, 5000) == ""

"""The rule of ``--until``: what is understood, what is refused, when it is looked at."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from evaluator.errors import UsageError
from evaluator.stopping_rule import (
    BURN_IN,
    Rule,
    choices_of_rule,
    enough_to_look,
    next_look,
    rule_of,
)


def test_rules_that_are_understood() -> None:
    assert rule_of(None, None, False) is None
    assert rule_of("all", None, False) is None
    assert rule_of("ci<=0.5", None, False) == Rule("ci", width=0.005)
    assert rule_of(" ci <= 2 ", None, False) == Rule("ci", width=0.02)
    assert rule_of("decided", None, False) == Rule("decided", margin=0.005)
    assert rule_of("decided", 1.5, True) == Rule("decided", margin=0.015, drop=True)


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("all", {"until": "all"}),
        ("ci<=0.5", {"until": "ci<=0.5"}),
        ("decided", {"until": "decided"}),
        ("decided:margin=1", {"until": "decided", "margin": 1.0}),
        ("decided:margin=1,drop", {"until": "decided", "margin": 1.0, "drop_decided": True}),
        ("decided: drop", {"until": "decided", "drop_decided": True}),
    ],
)
def test_what_stands_behind_a_rule_is_part_of_it(typed: str, chosen: dict[str, Any]) -> None:
    found = choices_of_rule(typed)
    assert found == chosen
    rule = rule_of(found["until"], found.get("margin"), found.get("drop_decided", False))
    if rule is not None and rule.kind == "decided":
        again = choices_of_rule(str(rule))
        assert rule_of(again["until"], again["margin"], again.get("drop_decided", False)) == rule


@pytest.mark.parametrize(
    ("until", "margin", "drop", "words"),
    [
        ("ci<=0", None, False, "--until ci<=POINTS takes a number above 0, not '0'"),
        ("ci<=-1", None, False, "not '-1'"),
        ("ci<=nan", None, False, "not 'nan'"),
        ("ci<=x", None, False, "not 'x'"),
        ("ci<0.5", None, False, "--until takes ci<=POINTS, decided or all, not 'ci<0.5'"),
        ("complexity<=1", None, False, "not 'complexity<=1'"),
        ("", None, False, "not ''"),
        ("ci<=1", 0.5, False, "--margin goes with --until decided"),
        (None, 0.5, False, "--margin goes with --until decided"),
        ("ci<=1", None, True, "--drop-decided goes with --until decided"),
        ("decided", 0.0, False, "decided:margin takes points of ADCC above 0, not 0"),
        ("decided", -1.0, False, "not -1"),
        ("decided", float("nan"), False, "not nan"),
    ],
)
def test_rules_that_are_not(
    until: str | None, margin: float | None, drop: bool, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        rule_of(until, margin, drop)
    assert words in caught.value.message
    assert caught.value.hint


def test_a_rule_needs_its_burn_in() -> None:
    enough_to_look(BURN_IN)
    with pytest.raises(UsageError, match="there are 49 images"):
        enough_to_look(BURN_IN - 1)


def test_looks_are_at_fixed_numbers_of_images() -> None:
    looks = [0]
    while looks[-1] < 60_000:
        looks.append(next_look(looks[-1]))
    assert looks[1:5] == [50, 60, 70, 80]
    assert {b - a for a, b in pairwise(looks[1:]) if a < 2000} == {10}
    assert all(b - a <= max(10, a / 100) for a, b in pairwise(looks[1:]))
    assert len(looks) < 800

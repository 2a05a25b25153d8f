"""The rule of ``--until``, parsed and checked; ``sequential_comparison`` decides by it."""

from __future__ import annotations

import re
from math import isfinite, nan
from typing import Any, Literal, NamedTuple

from evaluator.errors import UsageError
from evaluator.text import counted, printable

ALPHA = 0.05
"""Chance that an interval misses, or that a backbone's comparison claims something false, at any
number of images.
"""

BURN_IN = 50
"""Images before the first look: the intervals are asymptotic."""

DEFAULT_MARGIN = 0.5
"""Points of ADCC."""

EVERY_IMAGE = "all"
"""``--until all``: the run takes every image, as it does without a rule."""

_WIDTH = re.compile(r"\s*ci\s*<=\s*(\S+)\s*")
_EXAMPLE = (
    "for example --until 'ci<=0.5' (points of ADCC), --until decided,"
    " or --until all for every image"
)


class Rule(NamedTuple):
    """A stopping rule: what must be known before a run ends.

    Attributes:
        kind: ``ci``: every cell's ADCC to ± ``width``; ``decided``: of every backbone which method
            is best, up to ``margin``.
        width: half of the interval, a fraction; ``margin``: difference in ADCC that does not
            matter, a fraction.
        drop: methods that are certainly worse than the best are computed no further.
    """

    kind: Literal["ci", "decided"]
    width: float = 0.0
    margin: float = 0.0
    drop: bool = False

    def __str__(self) -> str:
        if self.kind == "ci":
            return f"ci<={100 * self.width:g}"
        return f"decided:margin={100 * self.margin:g}{',drop' if self.drop else ''}"


def choices_of_rule(until: str) -> dict[str, Any]:
    """What ``--until`` chooses, with what is typed behind its colon.

    ``decided:margin=1,drop`` → ``{"until": "decided", "margin": 1.0, "drop_decided": True}``;
    any other rule is ``{"until": …}`` as it is.

    Raises:
        UsageError: ``decided`` has no such option.
    """
    rule, colon, tail = until.partition(":")
    if rule.strip() != "decided" or not colon:
        return {"until": until}
    chosen: dict[str, Any] = {"until": "decided"}
    for part in filter(None, map(str.strip, tail.split(","))):
        name, equals, text = part.partition("=")
        if part == "drop":
            chosen["drop_decided"] = True
        elif name == "margin" and equals:
            chosen["margin"] = _points(text)
        else:
            raise UsageError(
                f"--until decided takes margin=POINTS and drop, not '{printable(part, 40)}'",
                "for example --until decided:margin=0.5,drop",
            )
    return chosen


def _points(text: str) -> float:
    """The number that a text gives, not a number where it gives none: ``rule_of`` refuses it."""
    try:
        return float(text)
    except ValueError:
        return nan


def rule_of(until: str | None, margin: float | None, drop: bool) -> Rule | None:
    """The rule that was typed, ``None`` where every image is to be taken.

    Args:
        until: ``ci<=POINTS``, ``decided``, ``all`` or ``None``.
        margin: points of ADCC, only with ``decided``; ``None`` for ``DEFAULT_MARGIN``.
        drop: ``--drop-decided``, only with ``decided``.

    Raises:
        UsageError: it cannot be understood.
    """
    if until is not None and until.strip() == "decided":
        points = DEFAULT_MARGIN if margin is None else margin
        if not 0 < points <= 100:
            raise UsageError(
                f"--until decided:margin takes points of ADCC above 0, not {points:g}",
                "for example --until decided:margin=0.5",
            )
        return Rule("decided", margin=points / 100, drop=drop)
    for option, given in (("--margin", margin is not None), ("--drop-decided", drop)):
        if given:
            raise UsageError(
                f"{option} goes with --until decided", "camtui run … --until decided:margin=0.5"
            )
    if until is None or until.strip() == EVERY_IMAGE:
        return None
    return Rule("ci", width=_width(until) / 100)


def _width(until: str) -> float:
    found = _WIDTH.fullmatch(until)
    if found is None:
        raise UsageError(
            f"--until takes ci<=POINTS, decided or all, not '{printable(until, 60)}'", _EXAMPLE
        )
    points = _points(found[1])
    if not isfinite(points) or not 0 < points <= 100:
        raise UsageError(
            f"--until ci<=POINTS takes a number above 0, not '{printable(found[1], 40)}'", _EXAMPLE
        )
    return points


def enough_to_look(images: int) -> None:
    """A rule needs more images than its burn-in.

    Raises:
        UsageError: there are too few.
    """
    if images < BURN_IN:
        raise UsageError(
            f"--until looks for the first time after {BURN_IN} images, and there are "
            f"{counted(images, 'image')}",
            "leave --until out to take all of them, or give a larger -n",
        )


def next_look(images: int) -> int:
    """The number of images at the next look: 50, 60, 70 …, from 2 000 on about 1 % more."""
    if images < BURN_IN:
        return BURN_IN
    step = max(10, images // 1000 * 10)
    return (images // step + 1) * step

"""Names and states in words, and ``--filter``: one grammar for cells and for runs."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from camtui.format.numbers import duration
from camtui.status import RunStatus
from evaluator import catalog
from evaluator.backbones import known_backbone
from evaluator.errors import UsageError
from evaluator.text import did_you_mean, printable


def method_title(spec: str) -> str:
    """Return ``Score-CAM (variant=cic)`` for ``scorecam:variant=cic``; others as they are."""
    key = catalog.key_of(spec)
    options = spec[len(key) + 1 :]
    try:
        title = catalog.method(key).title
    except UsageError:
        return printable(spec)
    return f"{title} ({options})" if options else title


def backbone_title(name: str) -> str:
    """Return ``VGG-16 (layer=features.29)`` for ``vgg16:layer=features.29``; others as they are."""
    key, _, options = name.partition(":")
    try:
        title = known_backbone(key).title
    except UsageError:
        return printable(name)
    return f"{title} ({options})" if options else title


T = TypeVar("T")

_TERM = re.compile(r"\s*([a-z_]+)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Grammar(Generic[T]):
    """The fields of one kind of thing that an expression may name.

    Attributes:
        texts: fields that are matched by wildcard.
        numbers: fields that are compared, ``None`` where there is no value.
        words: the text in which a bare word is looked for.
        example: shown with every error.
    """

    texts: Mapping[str, Callable[[T], str]]
    numbers: Mapping[str, Callable[[T], float | None]]
    words: Callable[[T], str]
    example: str

    def test(self, expression: str) -> Callable[[T], bool]:
        """Return a test of whether a thing meets every term of an expression, separated by commas.

        Raises:
            UsageError: an expression that cannot be read.
        """
        tests = [self._term(term) for term in expression.split(",") if term.strip()]
        return lambda thing: all(test(thing) for test in tests)

    def _term(self, term: str) -> Callable[[T], bool]:
        match = _TERM.fullmatch(term)
        if match is None:
            return self._word(term.strip())
        field, sign, value = match.groups()
        if field in self.texts:
            return self._text(field, sign, value)
        if field in self.numbers:
            return self._number(field, sign, value)
        near = did_you_mean(field, (*self.texts, *self.numbers))
        raise UsageError(f"--filter knows no '{field}'", f"{near}{self.example}")

    def _word(self, word: str) -> Callable[[T], bool]:
        if set(word) & set("<>="):
            raise UsageError(f"--filter cannot read '{printable(word, 40)}'", self.example)
        return lambda thing: word.lower() in self.words(thing).lower()

    def _text(self, field: str, sign: str, value: str) -> Callable[[T], bool]:
        if sign not in ("=", "!="):
            raise UsageError(f"--filter compares {field} with = or !=, not {sign}", self.example)
        return lambda thing: fnmatchcase(self.texts[field](thing), value) == (sign == "=")

    def _number(self, field: str, sign: str, value: str) -> Callable[[T], bool]:
        try:
            wanted = float(value)
        except ValueError as error:
            raise UsageError(
                f"--filter: '{printable(value, 40)}' is no number for {field}", self.example
            ) from error

        def test(thing: T) -> bool:
            found = self.numbers[field](thing)
            return found is not None and _COMPARE[sign](found, wanted)

        return test


def percent_done(status: RunStatus, digits: int = 0) -> str:
    """Return the progress in percent, rounded down: ``100%`` only where nothing is left.

    A stage may cost no forwards, so that all are done before its images are.
    """
    scale = 10**digits
    steps = math.floor(100 * scale * status.progress + 1e-6)
    if status.stage:
        steps = min(steps, 100 * scale - 1)
    return f"{steps / scale:.{digits}f}%"


def time_left(status: RunStatus) -> str:
    """Return ``, 12s left``; empty where it is not known, or less than a second."""
    return (
        ""
        if status.eta_seconds is None or status.eta_seconds < 1
        else f", {duration(status.eta_seconds)} left"
    )

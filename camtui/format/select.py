"""``--filter`` and ``--sort``: which cells a table shows, and in which order."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from camtui.format.cells import CellView
from evaluator import catalog
from evaluator.errors import NotFound, UsageError
from evaluator.metrics import all_metrics
from evaluator.text import did_you_mean, printable

_TERM = re.compile(r"\s*([a-z_]+)\s*(<=|>=|!=|=|<|>)\s*(.+?)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TEXT = ("backbone", "method")
_COUNTS = ("n", "failed", "degenerate")
_EXAMPLE = "for example --filter 'backbone=resnet*, adcc>70'"


def matching(views: Sequence[CellView], expression: str) -> list[CellView]:
    """The cells that meet every term of an expression.

    Terms are separated by commas: ``backbone=resnet*`` and ``method!=fakecam`` match by wildcard, ``adcc>70`` and ``n>=1000``
    by number (metrics in percent), and a bare word is looked for in ``BACKBONE/METHOD``.

    Raises:
        UsageError: an expression that cannot be read.
        NotFound: nothing meets it.
    """
    terms = [part for part in expression.split(",") if part.strip()]
    tests = [_test(term) for term in terms]
    found = [view for view in views if all(test(view) for test in tests)]
    if not found:
        raise NotFound(f"no cell matches '{printable(expression, 60)}'", "camtui table RUN shows every cell")
    return found


def _test(term: str) -> Callable[[CellView], bool]:
    match = _TERM.fullmatch(term)
    if match is None:
        return _word(term.strip())
    field, sign, value = match.groups()
    if field in _TEXT:
        return _text(field, sign, value)
    known = (*_COUNTS, *all_metrics(), "mean_image_adcc")
    if field not in known:
        raise UsageError(f"--filter knows no '{field}'", f"{did_you_mean(field, (*_TEXT, *known))}{_EXAMPLE}")
    try:
        number = float(value)
    except ValueError as error:
        raise UsageError(f"--filter: '{printable(value, 40)}' is no number for {field}", _EXAMPLE) from error
    return lambda view: _number(view, field, lambda mine: _COMPARE[sign](mine, number))


def _word(word: str) -> Callable[[CellView], bool]:
    if set(word) & set("<>="):
        raise UsageError(f"--filter cannot read '{printable(word, 40)}'", _EXAMPLE)
    return lambda view: word.lower() in f"{view.cell.backbone}/{view.cell.method}".lower()


def _text(field: str, sign: str, value: str) -> Callable[[CellView], bool]:
    if sign not in ("=", "!="):
        raise UsageError(f"--filter compares {field} with = or !=, not {sign}", _EXAMPLE)
    return lambda view: fnmatchcase(getattr(view.cell, field), value) == (sign == "=")


def _number(view: CellView, field: str, test: Callable[[float], bool]) -> bool:
    if field in _COUNTS:
        return test(getattr(view.summary, field))
    mean = view.mean(field)
    return mean is not None and test(100 * mean.value)


def ordered(views: Sequence[CellView], metric: str) -> list[CellView]:
    """The cells by one metric, best first; those without a value stand last.

    Raises:
        UsageError: no such metric.
    """
    sign = 1 if metric == "mean_image_adcc" else catalog.metric(metric).sign
    means = {view.cell.id: view.mean(metric) for view in views}

    def key(view: CellView) -> tuple[bool, float]:
        mean = means[view.cell.id]
        return mean is None, -sign * mean.value if mean else 0.0

    return sorted(views, key=key)

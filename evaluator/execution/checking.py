"""Checks of an evaluator's results: every pair has an answer, every number is in its range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite

from evaluator.catalog import ROW_METRICS, value_range
from evaluator.records import Failure, Measurement, Row, Unit, UnitResult

_FRACTIONS = ("y", "o", *ROW_METRICS)
_TOLERANCE = 1e-6


def checked(unit: Unit, result: UnitResult) -> UnitResult:
    """Check a unit's result.

    Returns:
        The result with a failure in place of each value that is not finite or out of its range, and
        for each pair without an answer.
    """
    wrong = [failure for row in result.rows if (failure := _wrong_row(row))]
    wrong += [
        failure
        for measurement in result.measurements
        if (failure := _wrong_measurement(measurement))
    ]
    bad = {(f.cell, f.image, f.metric) for f in wrong}
    rows = tuple(row for row in result.rows if (row.cell, row.image, "") not in bad)
    measurements = tuple(m for m in result.measurements if (m.cell, m.image, m.metric) not in bad)
    answered = bad | {(f.cell, f.image, f.metric) for f in result.failures}
    answered |= {(row.cell, row.image, "") for row in rows} | {
        (m.cell, m.image, m.metric) for m in measurements
    }
    unanswered = [
        Failure(cell, image, metric, *_why_unanswered(unit, cell, image))
        for cell, image, metric in pairs_of(unit)
        if (cell, image, metric) not in answered
    ]
    failures = (*result.failures, *wrong, *unanswered)
    return replace(result, rows=rows, measurements=measurements, failures=failures)


def _why_unanswered(unit: Unit, cell: int, image: int) -> tuple[str, str]:
    """Reason and detail of the failure of a pair without an answer."""
    if unit.metrics and (cell, image) not in unit.maps:
        return (
            "damaged-row",
            "its row is not what was written: camtui doctor RUN --repair, then camtui resume RUN",
        )
    return "no-result", "the evaluator returned nothing for it"


def pairs_of(unit: Unit) -> Iterator[tuple[int, int, str]]:
    """Yield every (cell, image, metric) that a unit must answer; metric ``''`` for rows."""
    for cell in unit.cells:
        for image in unit.images:
            for metric in unit.metrics or ("",):
                yield cell, image.id, metric


def failed(unit: Unit, reason: str, detail: str) -> UnitResult:
    """The unit as failures, all for the same reason."""
    return UnitResult(
        failures=tuple(
            Failure(cell, image, metric, reason, detail) for cell, image, metric in pairs_of(unit)
        )
    )


def _wrong_row(row: Row) -> Failure | None:
    for name in _FRACTIONS:
        value = getattr(row, name)
        if value is not None and (failure := _wrong_value(row.cell, row.image, "", name, value)):
            return failure
    return None


def _wrong_measurement(one: Measurement) -> Failure | None:
    return _wrong_value(
        one.cell, one.image, one.metric, one.metric, one.value, *value_range(one.metric)
    )


def _wrong_value(
    cell: int, image: int, metric: str, name: str, value: float, low: float = 0.0, high: float = 1.0
) -> Failure | None:
    if not isfinite(value):
        return Failure(cell, image, metric, "not-finite", f"{name} is {value}")
    if not low - _TOLERANCE <= value <= high + _TOLERANCE:
        return Failure(
            cell,
            image,
            metric,
            "out-of-range",
            f"{name} is {value:.6g}, not within {low:g} and {high:g}",
        )
    return None

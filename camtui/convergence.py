"""Convergence of a cell's ADCC: the headline and its interval after the first n images."""

from __future__ import annotations

from collections.abc import Iterable

from evaluator.statistics import ADCC, COMPONENTS, Mean, Sum
from evaluator.store.reader import ConvergencePoint


def convergence(points: Iterable[ConvergencePoint], n: int, steps: int = 120) -> list[Mean]:
    """Return the ADCC after about ``steps`` evenly spaced numbers of images, the last of them all.

    Args:
        points: in the order of evaluation.
        n: how many there are.
    """
    every = max(1, n // steps)
    totals = [0.0] * 9
    found: list[Mean] = []
    seen = 0
    for drop, coherency, complexity in points:
        seen += 1
        totals[0] += drop
        totals[1] += coherency
        totals[2] += complexity
        totals[3] += drop * drop
        totals[4] += coherency * coherency
        totals[5] += complexity * complexity
        totals[6] += drop * coherency
        totals[7] += drop * complexity
        totals[8] += coherency * complexity
        if seen % every == 0:
            found.append(_headline(seen, totals))
    if seen and (not found or found[-1].n != seen):
        found.append(_headline(seen, totals))
    return found


_KEYS = (
    *((name, "") for name in COMPONENTS),
    *((name, name) for name in COMPONENTS),
    ("average_drop", "coherency"),
    ("average_drop", "complexity"),
    ("coherency", "complexity"),
)


def _headline(n: int, totals: list[float]) -> Mean:
    mean = ADCC.of_sums({key: Sum(n, total) for key, total in zip(_KEYS, totals, strict=True)})
    assert mean is not None
    return mean

"""Kendall's rank correlation of many columns at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def kendall(judged: Floats, truth: Floats) -> Floats:
    """τ-b between two orders of the same methods (Kendall 1945), one for each column, in [−1, 1].

    ``τ_b = Σ s·t / √(Σ s² · Σ t²)`` over pairs of methods, ``s``, ``t``: signs of the differences
    in ``judged`` and ``truth``

    A column in which ``judged`` ties every pair has τ 0: it orders nothing. One in which ``truth``
    ties every pair has none.

    Args:
        judged: ``[methods, columns]``; pairs with a NaN are left out.
        truth: of the same shape.

    Returns:
        ``[columns]``, NaN where there is nothing to agree with.
    """
    agree, ordered, ordered_truly = (np.zeros(judged.shape[1]) for _ in range(3))
    for one, other in combinations(range(len(judged)), 2):
        sign = np.sign(judged[one] - judged[other])
        true = np.sign(truth[one] - truth[other])
        missing = np.isnan(sign) | np.isnan(true)
        sign[missing] = true[missing] = 0
        agree += sign * true
        ordered += np.abs(sign)
        ordered_truly += np.abs(true)
    scale = np.sqrt(ordered * ordered_truly)
    tau = np.divide(agree, scale, out=np.zeros_like(agree), where=scale > 0)
    tau[ordered_truly == 0] = np.nan
    return tau

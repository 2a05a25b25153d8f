"""Sparseness: how unevenly the saliency is spread over the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="sparseness",
    title="Sparseness",
    short="sparse",
    paper="Chalasani et al., ICML 2020",
    better="higher",
    definition="Gini index of U: Σ_i (2i − n − 1) u_(i) / (n Σ u)",
)


def measure(explained: Explained) -> Tensor:
    """Compute the Gini index of the saliency map's pixels, in [0, 1], higher is better.

    Chalasani et al., ICML 2020, arXiv:1810.06583. 0 where all pixels are equal, near 1 where one
    has everything. ``u_(i)`` is the i-th smallest of the n pixels.

    Args:
        explained: the maps.

    Returns:
        ``[B]``, float64; 0 where the map is all zero.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.54, 0.59]
    """
    values = explained.saliency.pixels().flatten(1).double().sort(dim=1).values
    count = values.shape[1]
    weights = values.new_ones(count).cumsum(0) * 2 - count - 1
    total = values.sum(1)
    return ((values * weights).sum(1) / (count * total.masked_fill(total == 0, 1))).clamp(min=0)

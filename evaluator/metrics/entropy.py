"""Entropy: over how many pixels the saliency is spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="entropy",
    title="Entropy",
    short="entr",
    paper="Bhatt et al., IJCAI 2020",
    better="lower",
    definition="−Σ p ln p / ln n, p = U / Σ U, n: pixels",
)


def measure(explained: Explained) -> Tensor:
    """Compute the entropy of the pixels' shares of the saliency, in [0, 1], lower is better.

    Bhatt et al., IJCAI 2020, arXiv:2005.00631, who call it the complexity of an explanation; in
    parts of the largest entropy, that of a constant map.

    Args:
        explained: the maps.

    Returns:
        ``[B]``, float64; 1 where the map is all zero: no pixel stands out.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.93, 0.91]
    """
    flat = explained.saliency.pixels().flatten(1).double()
    total = flat.sum(1, keepdim=True)
    shares = flat / total.masked_fill(total == 0, 1)
    value = -shares.xlogy(shares).sum(1) / flat.new_tensor(flat.shape[1]).log()
    return value.clamp(0, 1).masked_fill(total[:, 0] == 0, 1)

"""Localisation AUC: how well saliency tells the pixels of the object from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="localisation_auc",
    title="Localisation AUC",
    short="AUC",
    paper="Fawcett, Pattern Recognition Letters 2006",
    better="higher",
    definition="P(U inside S > U outside) + P(U inside S = U outside) / 2, S: the object's pixels",
    truth=True,
)


def measure(explained: Explained) -> Tensor:
    """Compute the area under the ROC curve of ``U`` for ``S``, in [0, 1], higher is better.

    Fawcett, Pattern Recognition Letters 2006; for explanations as in Quantus. 1/2 is chance. Ties
    count half, so that a constant map has 1/2.

    Args:
        explained: the maps and the objects' pixels.

    Returns:
        ``[B]``, float64; 1/2 where the object fills the image: there is nothing to tell apart.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.49, 0.71]
    """
    assert explained.truth is not None
    flat = explained.saliency.pixels().flatten(1)
    order = flat.argsort(dim=1)
    ordered = flat.gather(1, order)
    inside = explained.truth.flatten(1).gather(1, order.expand(len(explained.truth), -1)).double()
    level = order.new_zeros(order.shape)  # numbers of the values, equal ones alike
    level[:, 1:] = (ordered[:, 1:] > ordered[:, :-1]).cumsum(1)
    level = level.expand(inside.shape)
    on, off = (one.new_zeros(one.shape).scatter_add_(1, level, one) for one in (inside, 1 - inside))
    beaten = (on * (off.cumsum(1) - off / 2)).sum(1)
    pairs = on.sum(1) * off.sum(1)
    return (beaten / pairs.masked_fill(pairs == 0, 1)).masked_fill(pairs == 0, 0.5)

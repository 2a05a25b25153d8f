"""Rank accuracy: how many of the most salient pixels lie on the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="rank_accuracy",
    title="Rank Accuracy",
    short="rank",
    paper="Arras et al., Information Fusion 2022",
    better="higher",
    definition="share of the |S| most salient pixels that lie in S, the object's pixels",
    truth=True,
)


def measure(explained: Explained) -> Tensor:
    """Compute the relevance rank accuracy, in [0, 1], higher is better.

    Arras et al., Information Fusion 2022, arXiv:2003.07258. Ties are ordered by pixel index, row by
    row, as in deletion and insertion: on a map that is all zero the first ``|S|`` pixels of the
    image count as the most salient ones.

    Args:
        explained: the maps and the objects' pixels.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.47, 0.64]
    """
    assert explained.truth is not None
    size = explained.truth.sum((1, 2))
    most_salient = explained.saliency.ranks() < size[:, None, None]
    return (most_salient & explained.truth).sum((1, 2)).double() / size

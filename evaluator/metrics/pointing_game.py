"""Pointing game: whether the most salient pixel lies on the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="pointing_game",
    title="Pointing Game",
    short="point",
    paper="Zhang et al., IJCV 2018",
    better="higher",
    definition="1[argmax U lies in S, dilated by 15 pixels], S: the object's pixels",
    truth=True,
)


def measure(explained: Explained) -> Tensor:
    """Tell whether the maximum lies within 15 pixels of the object, 0 or 1, higher is better.

    Zhang et al., IJCV 2018, arXiv:1608.00507. Of several maxima the first counts, row by row; a map
    that is all zero points at the first pixel. Distances are Euclidean, between pixel centres;
    ``--pointing-margin`` takes another one, 0 for the object itself.

    Args:
        explained: the maps and the objects' pixels.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).tolist()
    [1.0, 1.0]
    """
    truth, saliency = explained.truth, explained.saliency.pixels()
    assert truth is not None
    width = saliency.shape[2]
    flat = saliency.flatten(1)
    index = flat.new_ones(flat.shape).cumsum(1) - 1
    first = (
        index.masked_fill(flat < flat.amax(1, keepdim=True), float("inf"))
        .amin(1)
        .expand(len(truth))
    )
    places = truth.new_ones(truth.shape[1:]).nonzero().to(first).view(*truth.shape[1:], 2)
    row, column = (first / width).floor(), first % width
    distance = (places[..., 0] - row[:, None, None]) ** 2 + (
        places[..., 1] - column[:, None, None]
    ) ** 2
    near: Tensor = distance <= explained.settings.pointing_margin**2
    return (near & truth).flatten(1).any(1).double()

"""SaCo: whether pixels of more saliency have more influence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

GROUPS = 10
"""K, of equally many pixels."""

METRIC = Metric(
    key="saco",
    title="SaCo",
    short="SaCo",
    paper="Wu et al., CVPR 2024",
    better="higher",
    definition="Σ ±(s_i − s_j) / Σ |s_i − s_j| over pairs of 10 groups of pixels by saliency s, + "
    "where taking out the more salient group costs as much confidence or more",
    low=-1.0,
    altered=GROUPS,
)


def measure(explained: Explained) -> Tensor:
    """Compute the salience-guided faithfulness coefficient, in [−1, 1], higher is better.

    Wu et al., CVPR 2024, arXiv:2404.01415. The pixels are cut into ten groups of descending
    saliency; each group alone is replaced by the mean colour of the image. For each pair, the more
    salient group should cost at least as much confidence; the difference of their saliency says how
    much the pair counts. 1 where every pair is in order, −1 where none is.

    ``s`` is the mean of a group, not its sum: 224² pixels are no multiple of ten. Ties leave by
    pixel index, row by row.

    Args:
        explained: the maps, and the network to be shown what is left.

    Returns:
        ``[B]``, float64; 0 where all groups have the same saliency, as in a constant map.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.39, 0.48]
    """
    assert explained.probe is not None
    ranks, images = explained.saliency.ranks(), explained.probe.images
    group = ranks * GROUPS // ranks[0].numel()
    colour = images.mean((2, 3), keepdim=True)

    def without(place: int, first: int, last: int) -> Tensor:
        which = group.new_ones(last - first).cumsum(0) + first - 1
        gone = group[place if len(group) > 1 else 0] == which[:, None, None]
        return colour[place].where(gone[:, None], images[place])

    influence = explained.clean[:, None] - explained.probe.confidence(without, GROUPS)
    saliency = mean_of_groups(explained.saliency.pixels(), group)
    more = saliency[:, :, None] - saliency[:, None, :]
    in_order = influence[:, :, None] >= influence[:, None, :]
    pairs = more.triu(1)
    signed = pairs.where(in_order, -pairs).sum((1, 2))
    total = pairs.abs().sum((1, 2))
    return signed / total.masked_fill(total == 0, 1)


def mean_of_groups(saliency: Tensor, group: Tensor) -> Tensor:
    """The mean saliency of each group, ``[B, H, W]`` and its numbers → ``[B, 10]`` float64."""
    flat, places = saliency.double().flatten(1), group.flatten(1)
    sums = flat.new_zeros(len(flat), GROUPS).scatter_add_(1, places, flat)
    sizes = flat.new_zeros(len(flat), GROUPS).scatter_add_(1, places, flat.new_ones(flat.shape))
    mean: Tensor = sums / sizes.clamp(min=1)
    return mean

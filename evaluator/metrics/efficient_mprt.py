"""Efficient MPRT: how much more complex the map is under random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

BINS = 100
"""Of the histogram, equally wide from the least to the greatest value of a map."""

METRIC = Metric(
    key="efficient_mprt",
    title="Efficient MPRT",
    short="eMPRT",
    paper="Hedström et al., XAI in Action 2023",
    better="higher",
    definition="(H(U under random weights) − H(U)) / ln 100, H: entropy of a histogram of 100 bins",
    low=-1.0,
    random_weights=True,
)


def measure(explained: Explained) -> Tensor:
    """Compute the rise of the map's entropy under random weights, in [−1, 1], higher is better.

    Hedström et al., XAI in Action (NeurIPS workshop) 2023, arXiv:2401.06465: the Efficient Model
    Parameter Randomisation Test. A map that reads what the network has learned should lose its
    structure with it. All weights are drawn anew, once for a network, whatever the image.

    The paper divides the rise by ``H(U)``, which has no bound and is undefined for a constant map;
    here it is in parts of the largest entropy of 100 bins, Quantus's default.

    Args:
        explained: the maps, and the network to explain the images with random weights.

    Returns:
        ``[B]``, float64; 0 for fixed maps, which no weight moves.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.0, 0.0]
    """
    assert explained.probe is not None
    other = explained.probe.random_weights()
    rise = histogram_entropy(other.pixels()) - histogram_entropy(explained.saliency.pixels())
    return rise / rise.new_tensor(BINS).log()


def histogram_entropy(saliency: Tensor) -> Tensor:
    """Entropy of the values' histogram, ``[B, H, W]`` → ``[B]`` float64, in nats."""
    flat = saliency.flatten(1).double()
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    width = (high - low).masked_fill(high == low, 1)
    places = ((flat - low) / width * BINS).long().clamp(max=BINS - 1)
    counts = flat.new_zeros(len(flat), BINS).scatter_add_(1, places, flat.new_ones(flat.shape))
    shares = counts / flat.shape[1]
    return -shares.xlogy(shares).sum(1)

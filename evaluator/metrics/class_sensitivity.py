"""Class sensitivity: whether another class has another explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="class_sensitivity",
    title="Class Sensitivity",
    short="class",
    paper="after Li et al., KDD 2021",
    better="higher",
    definition="(1 − pearson(U_c, U_c′)) / 2, c′: the least likely class",
    contrast=True,
)


def measure(explained: Explained) -> Tensor:
    """Measure the difference from the map of the least likely class, in [0, 1], higher is better.

    0 for a method that does not look at the class, such as Eigen-CAM or Fake-CAM, 1/2 where the two
    maps are uncorrelated. Comparing the maps of the most and the least likely class is a test of Li
    et al. (KDD 2021, arXiv:2012.15616); the scale is that of coherency, turned round.

    Args:
        explained: the maps, and the network to make the others.

    Returns:
        ``[B]``, float64; 0 where both maps are constant, 1/2 where one is.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.56, 0.37]
    """
    assert explained.probe is not None
    saliency, other = explained.saliency, explained.probe.least_likely()
    own, others = saliency.scatter(saliency), other.scatter(other)
    spread = (own * others).sqrt()
    correlation = saliency.scatter(other) / spread.masked_fill(spread < 1e-12, 1)
    value = (1 - correlation.clamp(-1, 1)) / 2
    constant = (own < 1e-12) & (others < 1e-12)
    return value.masked_fill(spread < 1e-12, 0.5).masked_fill(constant, 0)

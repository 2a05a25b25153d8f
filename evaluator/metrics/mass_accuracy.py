"""Mass accuracy: how much of the saliency lies on the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="mass_accuracy",
    title="Mass Accuracy",
    short="mass",
    paper="Wang et al., CVPR Workshops 2020",
    better="higher",
    definition="Σ U·S / Σ U, S: the object's pixels",
    truth=True,
)


def measure(explained: Explained) -> Tensor:
    """Compute the share of the saliency that lies on the object, in [0, 1], higher is better.

    The energy-based pointing game of Wang et al. (Score-CAM, CVPR Workshops 2020,
    arXiv:1910.01279), which is the relevance mass accuracy of Arras et al. (Information Fusion
    2022, arXiv:2003.07258).

    Args:
        explained: the maps and the objects' pixels.

    Returns:
        ``[B]``, float64; 0 where the map is all zero: none of it lies on the object.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.51, 0.72]
    """
    assert explained.truth is not None
    saliency = explained.saliency.pixels()
    inside = (saliency * explained.truth).double().sum((1, 2))
    total = saliency.double().sum((1, 2))
    return (inside / total.masked_fill(total == 0, 1)).clamp(max=1)

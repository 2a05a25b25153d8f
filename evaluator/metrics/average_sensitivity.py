"""Average sensitivity: how far the map moves on average when the image hardly does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric
from evaluator.metrics.max_sensitivity import MOST, SAMPLES, distances

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="average_sensitivity",
    title="Average Sensitivity",
    short="avgsens",
    paper="Yeh et al., NeurIPS 2019",
    better="lower",
    definition="mean of ‖U(x + δ) − U(x)‖ / ‖U(x)‖ over max-sensitivity's 10 δ",
    high=MOST,
    again=SAMPLES,
)


def measure(explained: Explained) -> Tensor:
    """Compute the mean distance from the map of a perturbed image, in [0, 2], lower is better.

    After Yeh et al., NeurIPS 2019, arXiv:1901.09392, whose measure is the maximum; Bhatt et al.,
    IJCAI 2020, arXiv:2005.00631, average. The draws are those of ``max_sensitivity``: both together
    cost as much as one.

    Args:
        explained: the maps, and the network to explain perturbed images.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.03, 0.03]
    """
    return distances(explained).mean(1)

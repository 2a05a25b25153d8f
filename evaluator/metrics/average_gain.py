"""Average gain: how much confidence the explanation map adds, of what could be added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="average_gain",
    title="Average Gain",
    short="gain",
    paper="Zhang et al., CVIU 2024",
    better="higher",
    definition="max(0, o_c − y_c) / (1 − y_c)",
)


def measure(explained: Explained) -> Tensor:
    """Compute the average gain of each image, in [0, 1], higher is better.

    Zhang et al., Opti-CAM, CVIU 2024, arXiv:2301.07002.

    The counterpart of average drop: by how much confidence rises, where average increase only
    counts how often. Fake-CAM, which changes next to nothing, gains next to nothing.

    Args:
        explained: the stored confidences on images and explanation maps.

    Returns:
        ``[B]``, float64; 0 where ``y_c`` is 1: there is nothing to gain.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.0, 0.73]
    """
    room = 1 - explained.clean
    return ((explained.masked - explained.clean).clamp(min=0) / room).masked_fill(room <= 0, 0)

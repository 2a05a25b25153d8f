"""Average increase: how often the explanation map alone raises confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="average_increase",
    title="Average Increase",
    short="inc",
    paper="Chattopadhyay et al., WACV 2018",
    better="higher",
    definition="1[o_c > y_c]",
)


def average_increase(confidence: Tensor, masked_confidence: Tensor) -> Tensor:
    """Tell whether confidence rose, 0 or 1, higher is better; equality is no increase.

    Chattopadhyay et al., WACV 2018.

    Args:
        confidence: ``y_c``, ``[B]``, probability of the target on the whole image.
        masked_confidence: ``o_c``, ``[B]``, probability of the target on the explanation map.

    Returns:
        ``[B]``, of the dtype of ``confidence``.

    >>> import torch
    >>> average_increase(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])).tolist()
    [0.0, 1.0]
    """
    return (masked_confidence > confidence).to(confidence.dtype)

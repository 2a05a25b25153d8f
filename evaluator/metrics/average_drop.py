"""Average drop: how much confidence is lost when only the explanation map is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="average_drop",
    title="Average Drop",
    short="drop",
    paper="Chattopadhyay et al., WACV 2018",
    better="lower",
    definition="max(0, y_c − o_c) / y_c",
)


def average_drop(confidence: Tensor, masked_confidence: Tensor) -> Tensor:
    """Compute the average drop of each image, a fraction in [0, 1], lower is better.

    Chattopadhyay et al., WACV 2018.

    Args:
        confidence: ``y_c``, ``[B]``, probability of the target on the whole image.
        masked_confidence: ``o_c``, ``[B]``, probability of the target on ``x ⊙ U``.

    Returns:
        ``[B]``; NaN, for undefined, where ``y_c`` is 0 (it underflows: possible only with
        ``--target label``).

    >>> import torch
    >>> average_drop(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])).tolist()
    [0.5, 0.0]
    """
    return (confidence - masked_confidence).clamp(min=0) / confidence

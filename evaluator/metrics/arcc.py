"""ARCC: one score from coherency, complexity and ROAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="arcc",
    title="ARCC",
    short="ARCC",
    paper="arXiv:2605.14641",
    better="higher",
    definition="3 / (1/Coherency + 1/(1 − Complexity) + 1/R), R = clip(2·ROAD, 0, 1)",
    of=("coherency", "complexity", "road"),
)


def measure(explained: Explained) -> Tensor:
    """Compute ARCC of each image: ADCC with ROAD in place of average drop.

    arXiv:2605.14641; in [0, 1], higher is better.

    The headline of a cell is the harmonic mean of the *averaged* components
    (``evaluator.statistics``), as ADCC's is; the mean of this per-image score is another number,
    shown as ``mean image ARCC``. pytorch-grad-cam 1.5.7 computes the one of an image.

    Args:
        explained: the values of the three components.

    Returns:
        ``[B]``, float64; 0 where a component is 0.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).shape
    torch.Size([2])
    """
    values = explained.values
    goods = (values["coherency"], 1 - values["complexity"], (2 * values["road"]).clamp(0, 1))
    first, second, third = (1 / part.clamp(min=0) for part in goods)
    return 3 / (first + second + third)

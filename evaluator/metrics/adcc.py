"""ADCC: one score from coherency, complexity and average drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="adcc",
    title="ADCC",
    short="ADCC",
    paper="Poppi et al., CVPR Workshops 2021",
    better="higher",
    definition="3 / (1/Coherency + 1/(1 − Complexity) + 1/(1 − Average Drop))",
)


def adcc(coherency: Tensor, complexity: Tensor, average_drop: Tensor) -> Tensor:
    """Compute the Average DCC of each image, the harmonic mean of three components.

    Poppi et al., 2021, equation 5; in [0, 1], higher is better.

    The headline of a cell is the harmonic mean of the *averaged* components
    (``evaluator.statistics``), which is what Table 2 prints; the mean of this per-image score is
    another number, shown as ``mean image ADCC``.

    Args:
        coherency: ``[B]`` in [0, 1].
        complexity: ``[B]`` in [0, 1].
        average_drop: ``[B]`` in [0, 1]; NaN gives NaN, whatever the others are.

    Returns:
        ``[B]`` in [0, 1]; 0 where a component is 0.

    >>> import torch
    >>> good, bad = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5])
    >>> adcc(good, bad, bad).tolist()
    [1.0, 0.5]
    """
    first, second, third = (
        1 / part.clamp(min=0) for part in (coherency, 1 - complexity, 1 - average_drop)
    )
    return 3 / (first + second + third)

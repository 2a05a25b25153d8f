"""Complexity: how much of the image the map keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="complexity",
    title="Complexity",
    short="compl",
    paper="Poppi et al., CVPR Workshops 2021",
    better="lower",
    definition="mean(U)",
)


def complexity(saliency: Tensor) -> Tensor:
    """Mean of the saliency map, its L1 norm per pixel (Poppi et al., 2021, equation 4), in [0, 1], lower is better.

    Args:
        saliency: ``U``, ``[B, H, W]`` in [0, 1].

    Returns:
        ``[B]``, float64: a sum of 50 176 float32 values loses digits that ADCC near complexity 1 needs.
    """
    return saliency.double().mean((1, 2))

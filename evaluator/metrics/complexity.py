"""Complexity: how much of the image the map keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.metrics.base import Saliency

METRIC = Metric(
    key="complexity",
    title="Complexity",
    short="compl",
    paper="Poppi et al., CVPR Workshops 2021",
    better="lower",
    definition="mean(U)",
)


def complexity(saliency: Saliency) -> Tensor:
    """Compute the mean of the saliency map, its L1 norm per pixel, in [0, 1], lower is better.

    Poppi et al., 2021, equation 4.

    Args:
        saliency: ``U``, the maps of B images.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> complexity(trial_explained(images=2).saliency).numpy().round(2).tolist()
    [0.18, 0.16]
    """
    return saliency.mean()

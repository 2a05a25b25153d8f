"""Coherency: whether the explanation of the explanation is the explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.metrics.base import Saliency

METRIC = Metric(
    key="coherency",
    title="Coherency",
    short="coh",
    paper="Poppi et al., CVPR Workshops 2021",
    better="higher",
    definition="(pearson(U, U′) + 1) / 2",
)


def coherency(saliency: Saliency, second_map: Saliency) -> Tensor:
    """Compute the Pearson correlation of two saliency maps over their pixels, moved to [0, 1].

    Poppi et al., 2021, equation 3; higher is better. Accumulated in float64; 0 where either map is
    constant, as in the authors' code.

    Args:
        saliency: ``U``, the maps of B images.
        second_map: ``U′``, by the same method for the same class, of ``x ⊙ U``.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> saliency = trial_explained(images=2).saliency
    >>> coherency(saliency, saliency).numpy().round(2).tolist()
    [1.0, 1.0]
    """
    spread = (saliency.scatter(saliency) * second_map.scatter(second_map)).sqrt()
    # a map in [0, 1] that moves by 1e-6 at one pixel is constant for float32
    constant = spread < 1e-12
    correlation = saliency.scatter(second_map) / spread
    return ((correlation.clamp(-1, 1) + 1) / 2).masked_fill(constant, 0)

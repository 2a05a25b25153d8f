"""Max-sensitivity: how far the map moves at most when the image hardly does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES, RADIUS = 10, 0.02
"""Perturbed images, and by how much a pixel in [0, 1] moves at most."""

MOST = 2.0
"""Greater distances count as this: beside a map of nothing any other is infinitely far."""

METRIC = Metric(
    key="max_sensitivity",
    title="Max-Sensitivity",
    short="maxsens",
    paper="Yeh et al., NeurIPS 2019",
    better="lower",
    definition="max ‖U(x + δ) − U(x)‖ / ‖U(x)‖ over 10 δ, uniform within ±0.02 of pixels in [0, 1]",
    high=MOST,
    again=SAMPLES,
)


def measure(explained: Explained) -> Tensor:
    """Compute the largest distance from the map of a perturbed image, in [0, 2], lower is better.

    Yeh et al., NeurIPS 2019, arXiv:1901.09392, estimated by ten seeded draws as in Captum, relative
    to the map's own norm as in the authors' code, Captum and Quantus. The radius is Captum's, but
    of pixels in [0, 1], not of normalised images. A method that draws noise draws the same for
    every perturbed image. Fixed maps such as Fake-CAM have 0: the most robust map says nothing.

    Args:
        explained: the maps, and the network to explain perturbed images.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.03, 0.03]
    """
    return distances(explained).amax(1)


def distances(explained: Explained) -> Tensor:
    """Compute the distance from the map of each perturbed image, ``[B, 10]`` float64.

    0 where both maps are all zero, 2 where the image's own is.
    """
    assert explained.probe is not None
    own = explained.saliency.pixels().double()
    norm = own.square().sum((1, 2)).sqrt()
    found = norm.new_empty(len(explained.clean), SAMPLES)
    for step in range(SAMPLES):
        other = explained.probe.explained(perturbed, "perturbation", step).pixels().double()
        moved = (other - own).square().sum((1, 2)).sqrt()
        ratio = moved / norm.masked_fill(norm == 0, 1)
        found[:, step] = ratio.masked_fill((norm == 0) & (moved > 0), MOST).clamp(max=MOST)
    return found


def perturbed(images: Tensor, noise: Tensor) -> Tensor:
    """Move every pixel by at most ``RADIUS``, ``[N, channels, H, W]``."""
    return images + RADIUS * noise

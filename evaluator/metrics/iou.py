"""IoU: how well the salient region and the object cover each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 0.2
"""Of the map's maximum, from which on a pixel is salient."""

METRIC = Metric(
    key="iou",
    title="IoU",
    short="IoU",
    paper="after Zhou et al., CVPR 2016",
    better="higher",
    definition="|R ∩ S| / |R ∪ S|, R: pixels with U ≥ 0.2 max U, S: the object's pixels",
    truth=True,
)


def measure(explained: Explained) -> Tensor:
    """Compute intersection over union of region and object, in [0, 1], higher is better.

    The region is that of Zhou et al. (CAM, CVPR 2016, arXiv:1512.04150), everything above 20 % of
    the maximum; they compare the box around its largest component, here its pixels are compared.

    Args:
        explained: the maps and the objects' pixels.

    Returns:
        ``[B]``, float64; 0 where the map is all zero: it has no region.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).numpy().round(2).tolist()
    [0.28, 0.39]
    """
    assert explained.truth is not None
    saliency = explained.saliency.pixels()
    most = saliency.amax((1, 2), keepdim=True)
    region = (saliency >= SHARE * most) & (most > 0)
    both = (region & explained.truth).sum((1, 2)).double()
    return both / (region | explained.truth).sum((1, 2))

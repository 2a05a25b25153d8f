"""ROAD: how the order of the pixels tells what the network needs, without showing it holes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Explained, Metric

if TYPE_CHECKING:
    from torch import Tensor

PERCENT = (20, 40, 60, 80)
"""Of the pixels, that are missing."""

METRIC = Metric(
    key="road",
    title="ROAD",
    short="ROAD",
    paper="Rong et al., ICML 2022",
    better="higher",
    definition="(mean_p s_LeRF(p) − mean_p s_MoRF(p)) / 2, p = 20, 40, 60, 80 % of the pixels "
    "imputed",
    low=-0.5,
    high=0.5,
    forwards=2 * len(PERCENT),
)


def measure(explained: Explained) -> Tensor:
    """Compute ROAD, combined, in [−0.5, 0.5], higher is better.

    The imputation is that of Rong et al., ICML 2022, arXiv:2202.00449, whose curves stand apart;
    their half difference, ``(LeRF − MoRF) / 2``, is pytorch-grad-cam's. ``s_MoRF(p)`` is the
    confidence in the target without the most salient p percent of the pixels, ``s_LeRF(p)`` without
    the least salient ones. What is missing is imputed, so that the shape of the hole tells the
    network nothing. The confidence in the whole image cancels. Pixels leave in one stable order,
    ties by pixel index, so that exactly p percent (rounded up) are missing. The noise of imputed
    pixels is added before the normalisation, as in the authors' code; ``--road-noise normalised``
    adds it afterwards, as earlier versions did and pytorch-grad-cam does with the tensors that it
    is given.

    pytorch-grad-cam 1.5.7 thresholds the map at a percentile instead, and takes out 100 % in place
    of 60 % where half of a map is 0: ``--road-removal released`` does the same.

    Args:
        explained: the maps, and the network to be shown what is left.

    Returns:
        ``[B]``, float64.

    >>> from evaluator.measuring.trial import trial_explained
    >>> measure(trial_explained(images=2)).shape
    torch.Size([2])
    """
    assert explained.probe is not None
    if explained.settings.road_removal == "released":
        missing = missing_by_percentile(explained.saliency.pixels())
    else:
        missing = missing_by_rank(explained.saliency.ranks())
    missing = missing.expand(len(explained.clean), -1, -1, -1)
    most, least = explained.probe.without(missing).chunk(2, dim=1)
    return (least.mean(1) - most.mean(1)) / 2


def missing_by_rank(ranks: Tensor) -> Tensor:
    """Choose the missing pixels: the most salient at each of ``PERCENT``, then the least salient.

    Args:
        ranks: ``[B, H, W]``, ``Saliency.ranks``.

    Returns:
        ``[B, 8, H, W]`` bool.
    """
    pixels = ranks[0].numel()
    counts = ranks.new_tensor([-(-pixels * percent // 100) for percent in PERCENT])
    counts = counts[None, :, None, None]
    return _joined(ranks[:, None] < counts, ranks[:, None] >= pixels - counts)


def missing_by_percentile(saliency: Tensor) -> Tensor:
    """Choose the missing pixels as pytorch-grad-cam 1.5.7 does, ``[B, 8, H, W]`` bool.

    Those that are not below a percentile of ``U``, then of ``1 − U``.

    Args:
        saliency: ``U``, ``[B, H, W]``.
    """

    def reached(values: Tensor) -> Tensor:
        flat = values.flatten(1).double()
        shares = flat.new_tensor([(100 - percent) / 100 for percent in PERCENT])
        thresholds = flat.quantile(shares, dim=1).T[:, :, None, None]
        return values[:, None].double() >= thresholds

    return _joined(reached(saliency), reached(1 - saliency))


def _joined(most: Tensor, least: Tensor) -> Tensor:
    """Join two ``[B, 4, H, W]`` to ``[B, 8, H, W]``."""
    batch, _, height, width = most.shape
    both = most.new_empty((batch, 2 * len(PERCENT), height, width))
    both[:, : len(PERCENT)], both[:, len(PERCENT) :] = most, least
    return both

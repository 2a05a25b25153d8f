"""Deletion: how fast confidence falls as the most salient pixels go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="deletion",
    title="Deletion",
    short="del",
    paper="Petsiuk et al., BMVC 2018",
    better="lower",
    definition="area under p_c while the most salient pixels are set to zero",
    curve=True,
)


def frame(images: Tensor, empty: Tensor, ranks: Tensor, pixels: Tensor) -> Tensor:
    """Remove the most salient pixels of images.

    Petsiuk et al., BMVC 2018, arXiv:1806.07421. The removed state is zero in normalised space,
    the mean colour; ``--removed black`` or ``blur`` (RISE's kernel) are what others take.
    RISE's code steps 224 pixels at a time (224 steps); the ADCC paper does not say, and its
    released code takes 1792 (28 steps), the default here.

    Args:
        images: ``x``, ``[n, 3, H, W]``, normalised; here and below, one of them stands for n.
        empty: ``[n, 3, H, W]``, what a removed pixel becomes: zeros, ``[n, 1, 1, 1]``, black or
            the blurred image.
        ranks: ``[n, H, W]``, ``Saliency.ranks``.
        pixels: ``[n]``, how many are removed.

    Returns:
        ``[n, 3, H, W]``.

    >>> import torch
    >>> image, ranks = torch.ones(1, 1, 1, 4), torch.tensor([[[0, 3, 1, 2]]])
    >>> frame(image, torch.zeros(1, 1, 1, 1), ranks, torch.tensor([2])).tolist()
    [[[[0.0, 1.0, 0.0, 1.0]]]]
    """
    removed = (ranks < pixels[:, None, None])[:, None]
    return empty.where(removed, images)


def ends(whole: Tensor, empty: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of the curve, ``[B]`` each: confidence in the whole and the empty image."""
    return whole, empty

"""Insertion: how fast confidence rises as the most salient pixels come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.metrics.base import Metric

if TYPE_CHECKING:
    from torch import Tensor

METRIC = Metric(
    key="insertion",
    title="Insertion",
    short="ins",
    paper="Petsiuk et al., BMVC 2018",
    better="higher",
    definition="area under p_c while the most salient pixels are shown on an empty image",
    curve=True,
)


def frame(images: Tensor, empty: Tensor, ranks: Tensor, pixels: Tensor) -> Tensor:
    """Show the most salient pixels on an empty image.

    Petsiuk et al., BMVC 2018, arXiv:1806.07421. The empty image is zero in normalised space:
    Fake-CAM's rows in Table 2 (deletion ≈ insertion) show that the paper used one constant for
    both. RISE starts from a blurred image: ``--insertion-start blur``, with its kernel and its
    zeros beyond the border; ``blur-torchvision`` is what earlier versions called ``blur``.

    Args:
        images: ``x``, ``[n, 3, H, W]``, normalised; here and below, one of them stands for n.
        empty: ``[n, 3, H, W]``, where the curve starts: zeros, ``[n, 1, 1, 1]``, or the blurred
            image.
        ranks: ``[n, H, W]``, ``Saliency.ranks``.
        pixels: ``[n]``, how many are shown.

    Returns:
        ``[n, 3, H, W]``.

    >>> import torch
    >>> image, ranks = torch.ones(1, 1, 1, 4), torch.tensor([[[0, 3, 1, 2]]])
    >>> frame(image, torch.zeros(1, 1, 1, 1), ranks, torch.tensor([1])).tolist()
    [[[[1.0, 0.0, 0.0, 0.0]]]]
    """
    shown = (ranks < pixels[:, None, None])[:, None]
    return images.where(shown, empty)


def ends(whole: Tensor, empty: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ends of the curve, ``[B]`` each: confidence in the empty and the whole image."""
    return empty, whole

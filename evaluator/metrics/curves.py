"""Parts that deletion and insertion share: the order of the pixels, the steps, the area."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Frame(Protocol):
    """Makes the images that the network is shown at some points of a curve."""

    def __call__(self, images: Tensor, empty: Tensor, ranks: Tensor, pixels: Tensor) -> Tensor:
        """Make ``[n, channels, H, W]`` from one or ``n`` images, empty images and ranks.

        ``pixels`` ``[n]``: how many of the most salient are changed.
        """


class Step(NamedTuple):
    """One inner point of both curves: how many of the most salient pixels are changed."""

    place: int
    pixels: int


def pixel_ranks(saliency: Tensor) -> Tensor:
    """Rank every pixel in descending saliency, ``[B, H, W]``, 0 for the most salient.

    Ties by pixel index, row by row: Fake-CAM's map and zero maps are all ties, and their curves are
    defined by that order. ``Saliency.ranks`` ranks the exact pixels of a map.

    Args:
        saliency: ``U``, ``[B, H, W]``.
    """
    flat = saliency.flatten(1)
    order = flat.argsort(dim=1, descending=True, stable=True)
    places = order.new_ones(order.shape).cumsum(1) - 1
    return order.new_empty(order.shape).scatter_(1, order, places).view(saliency.shape)


def inner_steps(pixels: int, steps: int) -> Iterator[Step]:
    """Yield the ``steps − 1`` points between the two known ends.

    Every step changes ``pixels / steps`` pixels, rounded down at each point to a whole number.

    Args:
        pixels: pixels of the image.
        steps: S, the number of equal steps; the default of 28 divides the pixels of 224 × 224.
    """
    return (Step(index, index * pixels // steps) for index in range(1, steps))


def area_under_curve(curve: Tensor) -> Tensor:
    """Integrate ``[B, S + 1]`` points, equally spaced on [0, 1], by the trapezoid rule: ``[B]``."""
    curve = curve.double()
    ends = (curve[:, 0] + curve[:, -1]) / 2
    return (curve[:, 1:-1].sum(1) + ends) / (curve.shape[1] - 1)

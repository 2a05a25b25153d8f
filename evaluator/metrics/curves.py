"""What deletion and insertion share: the order of the pixels, the steps, the area."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Frame(Protocol):
    """What the network sees at some points of a curve."""

    def __call__(self, images: Tensor, empty: Tensor, ranks: Tensor, pixels: Tensor) -> Tensor:
        """Images, empty ones and pixel ranks, one or ``n`` of each.

        And ``[n]`` numbers of pixels → ``[n, channels, H, W]``.
        """


class Step(NamedTuple):
    """One inner point of both curves.

    How many of the highest-ranked pixels are removed (or inserted).
    """

    place: int
    pixels: int


def pixel_ranks(saliency: Tensor) -> Tensor:
    """Rank of every pixel in descending saliency, ``[B, H, W]``, 0 for the most salient.

    Ties by pixel index, row by row.

    The order is stable: Fake-CAM's map and zero maps are all ties, and their curves are defined by
    it.

    Args:
        saliency: ``U``, ``[B, H, W]``.
    """
    flat = saliency.flatten(1)
    order = flat.argsort(dim=1, descending=True, stable=True)
    places = order.new_ones(order.shape).cumsum(1) - 1
    return order.new_empty(order.shape).scatter_(1, order, places).view(saliency.shape)


def inner_steps(pixels: int, steps: int) -> Iterator[Step]:
    """The ``steps − 1`` points between the two known ends.

    Every step moves ``pixels / steps`` pixels.

    Where that is no whole number, the number of pixels at each point is rounded down.

    Args:
        pixels: pixels of the image.
        steps: S, the number of equal steps; the default of 28 divides the pixels of 224 × 224.
    """
    return (Step(index, index * pixels // steps) for index in range(1, steps))


def area_under_curve(curve: Tensor) -> Tensor:
    """Trapezoid rule over ``[B, S + 1]`` equally spaced points on [0, 1] → ``[B]``, float64."""
    curve = curve.double()
    ends = (curve[:, 0] + curve[:, -1]) / 2
    return (curve[:, 1:-1].sum(1) + ends) / (curve.shape[1] - 1)

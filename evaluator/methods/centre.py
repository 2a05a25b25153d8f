"""Centre: a spot in the middle of every image, a control."""

from __future__ import annotations

from math import exp

from evaluator.methods.base import FixedMap


class Centre(FixedMap):
    """A fixed Gaussian in the middle of the image, where photographs have their subject.

    ``U[i, j] = exp(−(i − (H−1)/2)² / 2σ_H² − (j − (W−1)/2)² / 2σ_W²)``

    - ``U``: ``[H, W]``, the saliency map, of full resolution; the same for every image, so that
      coherency is 1
    - ``σ_H = H/4``, ``σ_W = W/4``: a quarter of the side

    A control: a method that does not beat it finds nothing that the middle of the image would not.

    >>> [[round(value, 2) for value in row] for row in Centre().fixed_map(3, 3)]
    [[0.17, 0.41, 0.17], [0.41, 1.0, 0.41], [0.17, 0.41, 0.17]]
    """

    key = "centre"
    title = "Centre"
    paper = "no paper: a Gaussian in the middle"
    weighs_by = "nothing: the middle of the image"
    beyond_paper = True
    control = True

    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        """The product of a Gaussian down and a Gaussian across."""
        across = _gaussian(width)
        return [[down * value for value in across] for down in _gaussian(height)]


def _gaussian(side: int) -> list[float]:
    """A Gaussian of a quarter of the side around its middle."""
    return [exp(-(((place - (side - 1) / 2) / (side / 4)) ** 2) / 2) for place in range(side)]

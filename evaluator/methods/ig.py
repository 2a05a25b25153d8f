"""Integrated gradients: gradients on the way from an image that shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING

from evaluator.methods.base import REFERENCES, SIGNS, ImageMethod, ImageView, versions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class IntegratedGradients(ImageMethod):
    """Integrated Gradients (Sundararajan, Taly and Yan, ICML 2017, arXiv:1703.01365).

    ``M = relu(Σ_C (x − x′) ⊙ Σ_k w_k ∂s_c/∂x (x′ + t_k (x − x′)))``

    - ``x``: ``[C, H, W]``, the normalised image; ``x′``: the ``baseline``, ``zero`` once normalised
      (the mean colour), ``black`` pixels, or ``blur`` of the image
    - ``t_k``, ``w_k``: the n nodes and weights of Gauss and Legendre on [0, 1], as captum has them;
      the paper's code takes n equal steps
    - ``sign=absolute``: ``Σ_C`` of the absolute values

    Complete: before the sign is taken, the sum over channels and pixels is ``s_c(x) − s_c(x′)`` but
    for the error of the quadrature.

    >>> from evaluator.measuring.trial import trial_view
    >>> view = trial_view(images=2).image
    >>> shares = IntegratedGradients(n=50).explain(view).sum((1, 2, 3))
    >>> rows = view.targets.new_tensor([0, 1])
    >>> whole = view.scores(lambda start, stop: view.images[start:stop], 2, rows, logits=True)
    >>> none = view.scores(lambda start, stop: 0 * view.images[start:stop], 2, rows, logits=True)
    >>> bool((shares - (whole - none)).abs().max() < 1e-3)
    True
    """

    n: int = 50
    baseline: str = "zero"
    sign: str = "positive"

    key = "ig"
    title = "Integrated Gradients"
    paper = "Sundararajan et al., ICML 2017"
    weighs_by = "gradients on the way from an image that shows nothing"
    choices = {"baseline": REFERENCES, "sign": SIGNS}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, C, H, W]``."""
        start_from, images = view.reference(self.baseline), len(view.images)
        way = view.images - start_from
        nodes, weights = gauss_legendre(self.n)
        rows = versions(view, self.n)
        at, weigh = (way.new_tensor(one).repeat_interleave(images) for one in (nodes, weights))

        def between(start: int, stop: int) -> Tensor:
            which = rows[start:stop]
            return start_from[which] + at[start:stop, None, None, None] * way[which]

        return way * view.gradient(between, len(rows), rows, weights=weigh)

    def cost(self) -> int:
        """A forward and a backward for each node."""
        return 3 * self.n


def gauss_legendre(n: int) -> tuple[list[float], list[float]]:
    """Nodes and weights of Gauss and Legendre's quadrature on [0, 1]: exact up to degree 2n − 1."""
    nodes, weights = [], []
    for place in range(n):
        x = cos(pi * (place + 0.75) / (n + 0.5))
        for _ in range(100):
            value, slope = _legendre(n, x)
            x -= value / slope
        _, slope = _legendre(n, x)
        nodes.append((1 - x) / 2)
        weights.append(1 / ((1 - x * x) * slope * slope))
    return nodes, weights


def _legendre(n: int, x: float) -> tuple[float, float]:
    """The Legendre polynomial of degree n at x, and its derivative."""
    before, value = 1.0, x
    for degree in range(2, n + 1):
        before, value = value, ((2 * degree - 1) * x * value - (degree - 1) * before) / degree
    return value, n * (x * value - before) / (x * x - 1)

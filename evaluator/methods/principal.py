"""Principal directions of an activation, by products of matrices only.

Torch is not imported, and a device never waits for its host, as it would for a decomposition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_SQUARINGS = 24
"""The power of a matrix that is taken is 2²⁴: a second eigenvalue of 0.999 999 of the first is gone
from it.
"""


def first_right_singular_vector(transposed: Tensor) -> Tensor:
    """First right singular vector ``v``, ``[B, K]``, of ``O`` from ``Oᵀ``, ``[B, K, hw]``.

    The limit of ``(OᵀO)ⁿ Oᵀ1``, scaled to length 1: power iteration from the map
    that is 1 everywhere, which settles the sign: ``Σ_ij O v ≥ 0``. The power is taken by squaring
    ``OᵀO`` or ``OOᵀ``, whichever is the smaller.
    """
    channels, positions = transposed.shape[1:]
    if channels < positions:
        found = high_power(transposed @ transposed.mT) @ transposed.sum(2, keepdim=True)
    else:
        found = transposed @ high_power(transposed.mT @ transposed).sum(2, keepdim=True)
    length = found.pow(2).sum(1, keepdim=True).sqrt()
    return (found / length.clamp(min=1e-300)).flatten(1)


def high_power(product: Tensor) -> Tensor:
    """A high power of a symmetric ``[B, n, n]`` without negative eigenvalues, kept at trace 1.

    The limit is the projection on the eigenvector of the largest eigenvalue; zeros stay zeros.
    """
    for _ in range(_SQUARINGS):
        product = product / product.diagonal(dim1=1, dim2=2).sum(1)[:, None, None].clamp(min=1e-300)
        product = product @ product
    return product

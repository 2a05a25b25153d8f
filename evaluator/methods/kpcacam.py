"""KPCA-CAM: the first kernel principal component of the positions, whatever the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View
from evaluator.methods.eigencam import high_power

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDING = 1e-12
"""A centred kernel that is this much smaller than the kernel is rounding: all positions are alike.
"""


@dataclass(frozen=True)
class KPCACAM(Method):
    """KPCA-CAM (Karmani et al., 2024, arXiv:2410.00267): Eigen-CAM with the kernel trick.

    ``L_i = u_i``, ``u`` the eigenvector of ``C κ C`` with the largest eigenvalue, ``κ_ij =
    kernel(a_i, a_j)``, by ``kernel``

    - ``sigmoid`` (default): ``tanh(⟨a_i, a_j⟩ / K + 1)``
    - ``rbf``: ``exp(−‖a_i − a_j‖² / K)``: a Gaussian of width ``σ = √(K/2)``

    - ``a_i``: ``[K]``, the activation at position i of hw, less its mean over the positions
    - ``C = 1 − 1/(hw)``: ``[hw, hw]``, centres the kernel; the sum of ``u`` is therefore 0, and the
      sign of Eigen-CAM cannot be asked for: here the entry of the largest magnitude is positive

    Kernel, width, centring and sign are those of the authors' code, which is part of
    pytorch-grad-cam (its kernel PCA is scikit-learn's), and so is the map. The class plays no part
    in it. The sigmoid kernel has negative eigenvalues too; the largest counts, not the one of the
    largest magnitude. The cost grows with (hw)³: meant for maps of up to about 14 × 14.

    >>> from evaluator.measuring.trial import trial_view
    >>> KPCACAM(kernel="rbf").combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    kernel: str = "sigmoid"

    key = "kpcacam"
    title = "KPCA-CAM"
    paper = "Karmani et al., arXiv:2410.00267"
    weighs_by = "first kernel principal component of the positions, whatever the class"
    choices = {"kernel": ("sigmoid", "rbf")}
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        positions = view.activation.flatten(2).double()
        kernel = self._kernel(positions - positions.mean(2, keepdim=True))
        return _first_component(kernel).view(len(kernel), *view.activation.shape[2:])

    def _kernel(self, transposed: Tensor) -> Tensor:
        """``κ``, ``[B, hw, hw]``, from ``[B, K, hw]``."""
        products = transposed.mT @ transposed / transposed.shape[1]
        if self.kernel == "sigmoid":
            return (products + 1).tanh()
        squares = products.diagonal(dim1=1, dim2=2)
        return (2 * products - squares[:, :, None] - squares[:, None, :]).exp()


def _first_component(kernel: Tensor) -> Tensor:
    """``u`` of a symmetric ``[B, n, n]`` → ``[B, n]``, zeros where the centred kernel is rounding.

    The matrix is shifted by its Frobenius norm, so that none of its eigenvalues is negative before
    it is squared.
    """
    along = kernel.mean(2, keepdim=True)
    centred = kernel - along - along.mT + along.mean(1, keepdim=True)
    size = _norm(centred)
    shifted = centred + size.expand_as(centred).diagonal(dim1=1, dim2=2).diag_embed()
    projection = high_power(shifted).masked_fill(size <= _ROUNDING * _norm(kernel), 0)
    largest = projection.diagonal(dim1=1, dim2=2).argmax(1)
    return projection.gather(2, largest[:, None, None].expand(-1, kernel.shape[1], 1)).flatten(1)


def _norm(matrix: Tensor) -> Tensor:
    """Frobenius norm of ``[B, n, n]`` → ``[B, 1, 1]``."""
    return matrix.pow(2).sum((1, 2), keepdim=True).sqrt()

"""Recipro-CAM: confidence of the head in one position of the activation alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import Method, View

if TYPE_CHECKING:
    from torch import Tensor

_KERNELS: dict[str, Sequence[float]] = {"gaussian": (0.25, 0.5, 0.25), "hard": (0.0, 1.0, 0.0)}
"""Along one side; the 3 × 3 kernel is the outer product with itself."""


@dataclass(frozen=True)
class ReciproCAM(Method):
    """Recipro-CAM (Byun and Lee, 2022, arXiv:2209.14074).

    ``L_ij = softmax(head(A ⊙ m_ij))_c``, by ``mask``

    - ``gaussian`` (default): ``m_ij`` is the 3 × 3 kernel ``(1, 2, 1)ᵀ(1, 2, 1)/16`` around (i, j),
      cut off at the border, else 0
    - ``hard``: ``m_ij`` is 1 at (i, j), else 0

    - ``A``: ``[K, h, w]``, the target layer's activation; ``m_ij``: ``[h, w]``, one mask for all
      channels; ``head``: what follows

    h·w runs of the head and no pass of the network; on GAP + linear heads one product of matrices.
    The ReLU of the protocol changes nothing: confidence is not negative.

    The code that the authors released spreads the activation *at* (i, j) over its neighbours by the
    same kernel; the paper multiplies the activation by the mask, as here (on EfficientNet-Lite0 the
    correlation of the two is 0.966 over 50 photographs). Neither pytorch-grad-cam 1.5.7 nor
    torchcam 0.5 has Recipro-CAM.

    >>> from evaluator.measuring.trial import trial_view
    >>> ReciproCAM(mask="hard").combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    """

    mask: str = "gaussian"

    key = "reciprocam"
    title = "Recipro-CAM"
    paper = "Byun and Lee, arXiv:2209.14074"
    weighs_by = "confidence of the head in one position alone"
    choices = {"mask": tuple(_KERNELS)}
    beyond_paper = True

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        height, width = view.activation.shape[2:]
        down = view.activation.new_tensor(_along(height, _KERNELS[self.mask]))
        across = view.activation.new_tensor(_along(width, _KERNELS[self.mask]))
        masks = (down[:, None, :, None] * across[None, :, None, :]).flatten(0, 1)
        return view.masked_confidence(masks).view(-1, height, width)


def _along(side: int, kernel: Sequence[float]) -> list[list[float]]:
    """The kernel around each place of a side, a row for each: ``[side, side]``."""
    return [
        [kernel[place - middle + 1] if abs(place - middle) <= 1 else 0.0 for place in range(side)]
        for middle in range(side)
    ]

"""Input × gradient: the gradient at each pixel, times the pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import SIGNS, ImageMethod, ImageView
from evaluator.methods.saliency import pixel_gradient

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class InputXGradient(ImageMethod):
    """Input × gradient (Shrikumar et al., 2016, arXiv:1605.01713).

    ``M = relu(Σ_C x ⊙ ∂s_c/∂x)``

    - ``x``: ``[C, H, W]``, the normalised image: a pixel of the mean colour has no share
    - ``sign=absolute``: ``Σ_C |x ⊙ ∂s_c/∂x|``

    >>> from evaluator.measuring.trial import trial_view
    >>> InputXGradient().combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    sign: str = "positive"

    key = "inputxgradient"
    title = "Input × gradient"
    paper = "Shrikumar et al., 2016"
    weighs_by = "gradient at each pixel times the pixel"
    choices = {"sign": SIGNS}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, C, H, W]``."""
        return view.images * pixel_gradient(view)

    def cost(self) -> int:
        """A forward and a backward."""
        return 3

"""Opti-CAM: weights of the channels by which the image under its map has the largest logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import ImageMethod, ImageView, min_max, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8
"""Adam's decay of both moments, and what is added to its denominator, as torch has them."""


@dataclass(frozen=True)
class OptiCAM(ImageMethod):
    """Opti-CAM (Zhang et al., CVIU 2024, arXiv:2301.07002).

    ``M = ↑Σ_k softmax(u)_k A_k`` with ``u = argmax s_c(x ⊙ mm(M))``

    - ``A``: ``[K, h, w]``, positive part of the target layer; ``x``: the normalised image; ``mm``:
      min-max; ``↑``: enlarged to the side of the image, bilinear
    - ``u``: ``[K]``, from 0, by ``steps`` steps of Adam at rate ``lr``; the authors' code stops
      before where the logit falls

    It optimises what average drop measures: a small drop is what it was made for, not what it was
    found to have. Every image is optimised by itself, so that neighbours play no part.

    >>> from evaluator.measuring.trial import trial_view
    >>> OptiCAM(steps=2).combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    steps: int = 50
    lr: float = 0.1

    key = "opticam"
    title = "Opti-CAM"
    paper = "Zhang et al., CVIU 2024"
    weighs_by = "largest logit of the image under the map"
    optimises = "the drop"
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, H, W]``."""
        found = view.images.new_empty(view.images[:, 0].shape)
        for place in range(len(view.images)):
            found[place] = self._optimised(view, place)[0]
        return found

    def _optimised(self, view: ImageView, place: int) -> Tensor:
        image, activation = (
            one[place : place + 1] for one in (view.images, view.activation.relu())
        )
        rows, target = view.targets.new_tensor([place]), view.targets[place : place + 1, None]
        weights = activation.new_zeros(activation.shape[:2])
        first, second = weights.clone(), weights.clone()
        for step in range(1, self.steps + 1):
            leaf = weights.clone().requires_grad_()
            shown = min_max(view.upsample(weighted_sum(leaf.softmax(1), activation)))
            logits = view.differentiable(image * shown[:, None], rows)
            logits.gather(1, target).sum().backward()  # type: ignore[no-untyped-call]  # torch's is
            rise = leaf.new_zeros(leaf.shape) if leaf.grad is None else leaf.grad
            first = _FIRST * first + (1 - _FIRST) * rise
            second = _SECOND * second + (1 - _SECOND) * rise**2
            spread = (second / (1 - _SECOND**step)).sqrt() + _TINY
            weights = weights + self.lr * first / (1 - _FIRST**step) / spread
        return view.upsample(weighted_sum(weights.softmax(1), activation))

    def cost(self) -> int:
        """A forward and a backward for each step."""
        return 3 * self.steps

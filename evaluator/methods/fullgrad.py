"""FullGrad: what the input and every bias add to the logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import BiasGradient, ImageMethod, ImageView, min_max

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FullGrad(ImageMethod):
    """FullGrad (Srinivas and Fleuret, NeurIPS 2019, arXiv:1905.00780).

    ``M = Σ_C ψ(x ⊙ ∂s_c/∂x) + Σ_l Σ_k ↑ψ(b_l ⊙ ∂s_c/∂f_l)``

    - ``x``: ``[C, H, W]``, the normalised image; ``f_l``: ``[K, h, w]``, the output of layer l, of
      all convolutions and batch normalisations; ``b_l``: its bias, of a batch normalisation
      ``β − γ μ / σ``; one that runs folded into its convolution is in the bias of that
    - ``ψ``: the absolute value, scaled to [0, 1] by ``scale``: ``layer``, all channels of a layer
      together, as in the authors' code; ``channel``, each by itself, as in pytorch-grad-cam;
      ``none``, the paper's equation
    - ``↑``: enlarged to the side of the image, bilinear; the authors' code aligns the corners

    Complete where the network is piecewise linear (ReLU, max-pooling): input and all biases, those
    of linear layers too, which are no maps, add up to ``s_c``. On transformers the biases that are
    maps are those of the patch embedding.

    >>> from evaluator.measuring.trial import trial_view
    >>> FullGrad().combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    scale: str = "layer"

    key = "fullgrad"
    title = "FullGrad"
    paper = "Srinivas and Fleuret, NeurIPS 2019"
    weighs_by = "gradients times the input and every bias"
    choices = {"scale": ("layer", "channel", "none")}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, H, W]``."""

        def total(shares: Tensor, layers: Sequence[BiasGradient]) -> Tensor:
            found = self._scaled(shares).sum(1)
            for gradient, bias in layers:
                if gradient.ndim == 4 and gradient.shape[1] == len(bias):
                    low = self._scaled(gradient * bias[:, None, None]).sum(1)
                    found = found + view.upsample(low)
            return found

        return view.biases(total)

    def _scaled(self, shares: Tensor) -> Tensor:
        size = shares.abs()
        if self.scale == "channel":
            return min_max(size.flatten(0, 1)).view_as(size)
        return min_max(size) if self.scale == "layer" else size

    def cost(self) -> int:
        """A forward and a backward."""
        return 3

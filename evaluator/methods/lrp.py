"""LRP: the logit handed back through the layers by rules, to the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.methods.base import COMPOSITES, SIGNS, ImageMethod, ImageView

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LRP(ImageMethod):
    """Layer-wise relevance propagation (Bach et al., PLoS ONE 2015), as zennit computes it.

    ``M = relu(Σ_C R(x))``, ``R`` of the target's output neuron 1, of a layer's inputs by its rule

    - ``composite=gamma-box``: ε for linear layers, γ (0.25) for convolutions, the box rule for the
      first layer, between a black and a white pixel (Montavon et al., 2019); ``plus-flat``: z⁺ for
      convolutions, flat for the first; ``alpha2-beta1-flat``: α2-β1 for convolutions
    - batch normalisations are merged into what they follow before; residual sums share by size
    - ``sign=absolute``: ``Σ_C |R|``

    On CUDA the last bits may differ from one time to the next: the network is the maker's, whose
    pooling sums in no fixed order there.

    Needs the extra ``lrp`` and a network whose every layer is a module with a rule: VGG, AlexNet,
    torchvision's ResNets and networks like them. Elsewhere, as on transformers and EfficientNets,
    every image fails for that reason, named: gradients in the place of rules are not LRP.

    >>> from evaluator.measuring.trial import trial_view
    >>> LRP().combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    composite: str = "gamma-box"
    sign: str = "positive"

    key = "lrp"
    title = "LRP"
    paper = "Bach et al., PLoS ONE 2015"
    weighs_by = "relevance, layer by layer by rules"
    choices = {"composite": COMPOSITES, "sign": SIGNS}
    extra = "lrp"
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, C, H, W]``."""
        return view.relevance(self.composite)

    def cost(self) -> int:
        """A forward and a backward."""
        return 3

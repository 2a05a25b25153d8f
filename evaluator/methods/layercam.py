"""LayerCAM: every position weighted by its own positive gradient, at one layer or at all stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from evaluator.methods.base import ImageMethod, ImageView, Method, View, min_max, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LayerCAM(Method):
    """LayerCAM (Jiang et al., IEEE TIP 2021).

    ``L = Σ_k relu(g_k) ⊙ A_k``

    - ``g_k``: ``[h, w]``, ``∂s_c/∂A_k`` of the logit; ``A_k``: ``[h, w]``, channel k of the target
      layer; ``⊙`` elementwise
    - ``layers=stages``: the maximum over stages of ``tanh(gain · mm(relu(L)))``, each enlarged to
      the side of the image. A stage is the last layer of a resolution, up to the target layer;
      ``mm``: min-max. This is an image method, of one forward and one backward

    Beyond the ADCC paper. Agrees with torchcam and pytorch-grad-cam. The paper scales its three
    finest stages alone; torchcam's ``fuse_cams`` scales all, as here.

    >>> from evaluator.measuring.trial import trial_view
    >>> LayerCAM().combine(trial_view(images=2)).shape
    torch.Size([2, 8, 8])
    >>> LayerCAM(layers="stages").combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    layers: str = "target"
    gain: float = 2.0

    key = "layercam"
    title = "LayerCAM"
    paper = "Jiang et al., IEEE TIP 2021"
    weighs_by = "positive gradient at each position"
    choices = {"layers": ("target", "stages")}
    beyond_paper = True

    def __new__(cls, layers: str = "target", *_: float, **_options: float) -> Self:
        """An image method where it reads all stages."""
        return cast("Self", super().__new__(_AllStages if layers == "stages" else cls))

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``."""
        return weighted_sum(view.gradient.relu(), view.activation)


@dataclass(frozen=True)
class _AllStages(ImageMethod, LayerCAM):
    """LayerCAM over stages."""

    def explain(self, view: ImageView) -> Tensor:
        """``[B, H, W]``."""
        fused: Tensor | None = None
        for activation, gradient in view.layers().values():
            low = min_max(weighted_sum(gradient.relu(), activation).relu())
            stage = view.upsample((self.gain * low).tanh())
            fused = stage if fused is None else fused.maximum(stage)
        assert fused is not None, "the target layer is always among them"
        return fused

    def cost(self) -> int:
        """A forward and a backward."""
        return 3

"""RefineCAM: the product of one CAM method's maps at several resolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from evaluator.methods import all_methods
from evaluator.methods.base import ImageMethod, ImageView, View, min_max

if TYPE_CHECKING:
    from torch import Tensor

_BASES = ("gradcampp", "layercam", "gradcam")


@dataclass(frozen=True)
class RefineCAM(ImageMethod):
    """RefineCAM (Domeniconi et al., 2026, arXiv:2605.14641).

    ``M = Π_l ↑ mm(relu(CAM_l))``

    - ``CAM_l``: the map of the ``base`` method at the last layer of resolution l; the authors show
      Grad-CAM++
    - ``layers``: how many resolutions, the coarsest, up to the target layer; 4 are a ResNet's four
      stages, as in the authors' code
    - ``mm``: min-max, at the layer's resolution; ``↑``: enlarged to the side of the image, bilinear
    - ``mix=root``: the root of the product, of the order of the number of layers

    The authors' code (github.com/liuktc/RefineCAM) enlarges by the receptive field too, and mixes
    by two more means: not here.

    >>> from evaluator.measuring.trial import trial_view
    >>> RefineCAM(base="layercam").combine(trial_view(images=2)).shape
    torch.Size([2, 32, 32])
    """

    base: str = "gradcampp"
    layers: int = 4
    mix: str = "product"

    key = "refinecam"
    title = "RefineCAM"
    paper = "Domeniconi et al., 2026"
    weighs_by = "product of a CAM's maps at several resolutions"
    choices = {"base": _BASES, "mix": ("product", "root")}
    ranges = {"layers": (1, 16)}
    beyond_paper = True

    def explain(self, view: ImageView) -> Tensor:
        """``[B, H, W]``."""
        chosen = list(view.layers().values())[-self.layers :]
        base, product = all_methods()[self.base](), view.images.new_ones(view.images[:, 0].shape)
        for activation, gradient in chosen:
            low = base.combine(cast("View", _Layer(activation, gradient)))
            product = product * view.upsample(min_max(low.relu()))
        return product ** (1 / len(chosen)) if self.mix == "root" else product

    def cost(self) -> int:
        """A forward and a backward, for all layers."""
        return 3


class _Layer(NamedTuple):
    """What the bases read of a view, for any layer: ``[B, K, h, w]``, both."""

    activation: Tensor
    gradient: Tensor

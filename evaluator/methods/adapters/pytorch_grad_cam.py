"""Classes of pytorch-grad-cam: CAMs of the target layer, at the size of the image.

They are called with the logit of the target as what they explain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_grad_cam as package
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from evaluator.methods.adapters import NoMethod, PeerMethod, peer

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.methods.base import ImageView, WholeNetwork

_OURS = frozenset(["model", "target_layers", "reshape_transform", "input_tensor", "targets"])
_COSTS = {"ScoreCAM": (3, 1), "AblationCAM": (6, 1)}
"""Class → forwards of one map, and for each channel; of others 3."""

_AUGMENTED = 6
"""How many changed images ``aug_smooth`` explains."""


class GradCamPackageMethod(PeerMethod):
    """A class of pytorch-grad-cam, asked for one image after the other."""

    def explain(self, view: ImageView) -> Tensor:
        """Its maps, ``[B, H, W]``."""
        return view.each(self._explained)

    def _explained(self, whole: WholeNetwork, image: Tensor, target: Tensor) -> Tensor:
        options: dict[str, Any] = self.given(self.constructed)
        if "base_method" in options:
            options["base_method"] = getattr(package, str(options["base_method"]))
        explainer = self.made(
            model=whole.model,
            target_layers=[whole.layer],
            reshape_transform=whole.as_map,
            **options,
        )
        inner = getattr(explainer, "base_cam", explainer)
        inner.tqdm = False
        asked = {"targets": [ClassifierOutputTarget(int(target))]}
        if self.made.__name__ == "FinerCAM":  # it makes targets of its own
            asked = {}
        try:
            found = explainer(image, **asked, **self.given(self.called))
        finally:
            inner.activations_and_grads.release()
        return image.new_tensor(found)


def _price(method: PeerMethod, channels: int) -> int:
    own, each = _COSTS.get(method.made.__name__, (3, 0))
    turns = _AUGMENTED if method.given(frozenset(["aug_smooth"])).get("aug_smooth") else 1
    return turns * (own + each * channels)


def adapt(made: type) -> type[PeerMethod]:
    """The method of a class of pytorch-grad-cam.

    Raises:
        NoMethod: it makes no map of one image.
    """
    if not (issubclass(made, BaseCAM) or made is package.FinerCAM) or made is BaseCAM:
        raise NoMethod(
            f"pytorch-grad-cam's {made.__name__} makes no map of an image by itself",
            "for example pytorch_grad_cam:EigenGradCAM",
        )
    call = BaseCAM.forward if made is package.FinerCAM else BaseCAM.__call__
    return peer("pytorch_grad_cam", made, GradCamPackageMethod, call=call, ours=_OURS, price=_price)

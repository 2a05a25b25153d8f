"""Classes of captum: attributions of the whole network, and of its target layer.

Attributions have a value for each channel; they become one map by the option ``sign``.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from captum import attr

from evaluator.methods.adapters import NoMethod, PeerMethod, peer
from evaluator.methods.base import SIGNS

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.methods.base import ImageView, WholeNetwork

_OURS = frozenset(
    ["forward_func", "model", "layer", "device_ids", "inputs", "target", "additional_forward_args"],
) | {
    *("feature_mask", "grad_kwargs", "perm_func", "similarity_func", "perturb_func", "verbose"),
    *("return_convergence_delta", "return_input_shape", "custom_attribution_func", "show_progress"),
}
_REQUIRED = {"sliding_window_shapes": "3x50x50", "baselines": 0, "attribution_method": "Saliency"}
"""Of arguments without a default; a baseline is zero everywhere, once normalised."""

_NO_IMAGES = ("Neuron", "LLM", "RemoteLLM", "VLLM", "DataLoader", "LimeBase")
"""Beginnings of classes that explain a neuron, text, or a whole data set."""


class CaptumMethod(PeerMethod):
    """A class of captum, asked for one image after the other."""

    def explain(self, view: ImageView) -> Tensor:
        """Its attributions, ``[B, C, H, W]``, or ``[B, K, h, w]`` of a layer."""
        return view.each(self._explained)

    def _explained(self, whole: WholeNetwork, image: Tensor, target: Tensor) -> Tensor:
        explainer = self._explainer(whole)
        options = self.given(self.called)
        wanted = inspect.signature(explainer.attribute).parameters
        if "baselines" in wanted and wanted["baselines"].default is inspect.Parameter.empty:
            options["baselines"] = image.detach() * 0 + options.get("baselines", 0)
        if self.made.__name__ == "Occlusion":
            options.setdefault("sliding_window_shapes", (image.shape[1], 50, 50))
            options.setdefault("strides", (image.shape[1], 25, 25))
        found = explainer.attribute(image, target=int(target), **options)
        while isinstance(found, tuple):
            found = found[0]
        return (
            found if found.ndim == 4 and found.shape[2:] == image.shape[2:] else whole.as_map(found)
        )

    def _explainer(self, whole: WholeNetwork, made: Any = None) -> Any:
        made = made or self.made
        options = self.given(self.constructed) if made is self.made else {}
        wanted = inspect.signature(made.__init__).parameters
        if "attribution_method" in wanted:
            inner = options.pop("attribution_method", _REQUIRED["attribution_method"])
            return made(self._explainer(whole, getattr(attr, str(inner))))
        if "layer" in wanted:
            options["layer"] = whole.layer
        return made(whole.model, **options)


_BY_OPTION = {"n_steps": 3, "nt_samples": 3, "n_samples": 1}
"""Option → forwards of each of so many passes."""

_COSTS: dict[str, tuple[int, str, int]] = {
    **dict.fromkeys(["Deconvolution", "GuidedBackprop", "InputXGradient", "Saliency"], (3, "", 0)),
    **dict.fromkeys(["LayerGradCam", "LayerGradientXActivation"], (3, "", 0)),
    **dict.fromkeys(["DeepLift", "GuidedGradCam", "LayerDeepLift"], (6, "", 0)),
    **dict.fromkeys(["IntegratedGradients", "InternalInfluence"], (0, "n_steps", 3)),
    "LayerConductance": (3, "n_steps", 3),
    "LayerIntegratedGradients": (4, "n_steps", 3),
    "GradientShap": (0, "n_samples", 3),
    "LayerGradientShap": (0, "n_samples", 7),
    **dict.fromkeys(["KernelShap", "Lime"], (0, "n_samples", 1)),
}
"""Class → forwards of one map, an option, and how many more for each unit of it; as counted."""


def _price(method: PeerMethod, _channels: int) -> int:
    options = method.options
    if cost := _COSTS.get(method.made.__name__):
        fixed, name, each = cost
        return fixed + each * int(options.get(name, 0))
    counts = (each * int(options[name]) for name, each in _BY_OPTION.items() if name in options)
    return next(counts, 3)


def adapt(made: Any) -> type[PeerMethod]:
    """The method of a class of captum.

    Raises:
        NoMethod: it explains no image.
    """
    base = made.__name__.endswith("Attribution")
    if not issubclass(made, attr.Attribution) or base or made.__name__.startswith(_NO_IMAGES):
        raise NoMethod(
            f"captum's {made.__name__} explains no image of a classifier",
            "for example captum.attr:IntegratedGradients",
        )
    return peer(
        "captum",
        made,
        CaptumMethod,
        call=made.attribute,
        ours=_OURS,
        price=_price,
        estimated=made.__name__ not in _COSTS,
        required=_REQUIRED,
        words={"sign": SIGNS},
    )

"""What pytorch-grad-cam, torchcam and captum make of the small networks: their maps at the layer's
resolution, before any resize; captum's at the image's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tests.networks import LAYER, NETWORKS


def gradcam_package(
    kind: str, model: nn.Module, images: Tensor, targets: Sequence[Any], **options: Any
) -> Tensor:
    """``[B, h, w]``, before ReLU, of a class of pytorch-grad-cam.

    Args:
        kind: name of the class.
        targets: one callable per image, as the package takes them.
        options: what the class takes beyond the model and the layer.
    """
    import pytorch_grad_cam

    explainer = getattr(pytorch_grad_cam, kind)(
        model=model, target_layers=[model.get_submodule(LAYER)], **options
    )
    inner = getattr(explainer, "base_cam", explainer)
    kept: list[Tensor] = []
    original = inner.get_cam_image

    def keep(*arguments: Any) -> Any:
        kept.append(torch.as_tensor(original(*arguments)))
        return kept[0].numpy()

    inner.get_cam_image = keep
    with explainer:
        explainer(input_tensor=images, targets=list(targets))
    return kept[0]


def captum_attributions(
    kind: str, network: str, images: Tensor, targets: Tensor, **options: Any
) -> Tensor:
    """``[B, C, H, W]`` of a class of captum, on a network of ``NETWORKS``.

    Args:
        options: of ``attribute``.
    """
    import captum.attr

    model = NETWORKS[network]()
    explainer = getattr(captum.attr, kind)(model)
    found: Tensor = explainer.attribute(
        images.clone().requires_grad_(), target=targets.tolist(), **options
    )
    return found.detach().float()


def logit_targets(classes: Tensor) -> list[Any]:
    """The logit of each image's class, as pytorch-grad-cam's targets."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return [ClassifierOutputTarget(int(c)) for c in classes]


def up_to_scale(found: Tensor, expected: Tensor) -> float:
    """Largest difference of ``[B, h, w]`` after each map's largest magnitude is made 1."""
    return float((_scaled(found) - _scaled(expected)).abs().max())


def _scaled(maps: Tensor) -> Tensor:
    return maps.double() / maps.double().abs().amax((1, 2), keepdim=True)

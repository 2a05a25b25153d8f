"""Torchvision's classifiers by name, with its ``IMAGENET1K_V1`` weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.backbones import Family, KnownBackbone, torch_checkpoints
from evaluator.records import Preprocessing

if TYPE_CHECKING:
    from evaluator.backbone_spec import BackboneSpec
    from evaluator.networks.building import Built


def _paper(
    key: str, title: str, layer: str, gap_linear: bool, channels: int, file: str
) -> KnownBackbone:
    return KnownBackbone(
        key=key,
        title=title,
        layer=layer,
        gap_linear=gap_linear,
        attention=False,
        channels=channels,
        weights_file=file,
        listed=True,
    )


_PAPER = (
    _paper("vgg16", "VGG-16", "features.30", False, 512, "vgg16-397923af.pth"),
    _paper("resnet18", "ResNet-18", "layer4", True, 512, "resnet18-f37072fd.pth"),
    _paper("resnet50", "ResNet-50", "layer4", True, 2048, "resnet50-0676ba61.pth"),
    _paper("resnet101", "ResNet-101", "layer4", True, 2048, "resnet101-63fe2227.pth"),
    _paper("resnext50_32x4d", "ResNeXt-50", "layer4", True, 2048, "resnext50_32x4d-7cdf4587.pth"),
    _paper(
        "resnext101_32x8d", "ResNeXt-101", "layer4", True, 2048, "resnext101_32x8d-8ba56ff5.pth"
    ),
)

_OTHERS = tuple(
    """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161
    densenet169 densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3
    efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_l
    efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75
    mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf
    regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf
    regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf
    regnet_y_8gf resnet152 resnet34 resnext101_64x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0
    shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn
    vgg16_bn vgg19 vgg19_bn wide_resnet101_2 wide_resnet50_2
    """.split()  # noqa: SIM905 - seventy names read better as prose
)

_TRANSFORMERS = {
    "vit_b_16": ("encoder.layers.encoder_layer_11.ln_1", 768),
    "vit_b_32": ("encoder.layers.encoder_layer_11.ln_1", 768),
    "vit_l_16": ("encoder.layers.encoder_layer_23.ln_1", 1024),
    "vit_l_32": ("encoder.layers.encoder_layer_23.ln_1", 1024),
    "swin_t": ("features.7.1.norm1", 768),
    "swin_s": ("features.7.1.norm1", 768),
    "swin_b": ("features.7.1.norm1", 1024),
    "swin_v2_t": ("features.7.1.norm1", 768),
    "swin_v2_s": ("features.7.1.norm1", 768),
    "swin_v2_b": ("features.7.1.norm1", 1024),
}
"""The first norm of the last block, which the peers take too, and its K."""


@cache
def _known() -> dict[str, KnownBackbone]:
    known = {backbone.key: backbone for backbone in _PAPER}
    known |= {key: KnownBackbone(key, key, attention=False) for key in _OTHERS}
    return known | {
        key: KnownBackbone(
            key,
            key,
            layer=layer,
            gap_linear=False,
            attention=key.startswith("vit_"),
            channels=channels,
        )
        for key, (layer, channels) in _TRANSFORMERS.items()
    }


class Torchvision(Family):
    """Networks whose weights come from torchvision, or from a file of the same tensors."""

    key = "torchvision"
    title = "torchvision's classifiers"
    spelled = "NAME"
    published = True
    tried = True

    def known(self, key: str) -> KnownBackbone | None:
        """By torchvision's own name."""
        return _known().get(key)

    def names(self) -> tuple[KnownBackbone, ...]:
        """The paper's six first."""
        return tuple(_known().values())

    def local_weights(self, key: str) -> Path | None:
        """In torch's cache."""
        name = _known()[key].weights_file
        file = torch_checkpoints() / name
        return file if name and file.is_file() else None

    def build(self, spec: BackboneSpec) -> Built:
        """The classes are ImageNet's, unless a file brings weights for another number of them."""
        from torchvision import models

        from evaluator.backbone_spec import DEFAULT_WEIGHTS
        from evaluator.networks.building import (
            Built,
            class_count,
            fill_zero_heads,
            filled,
            is_random,
            seeded,
        )
        from evaluator.networks.weights import published_weights, read_weights_file

        entry = models.get_model_weights(spec.key)["IMAGENET1K_V1"]
        classes = tuple(entry.meta["categories"])
        options = {"init_weights": False} if spec.key in ("googlenet", "inception_v3") else {}
        if is_random(spec.weights):
            model = seeded(spec.weights, lambda: models.get_model(spec.key, **options))
            return Built(
                model, spec.weights + fill_zero_heads(model, spec.weights), (), Preprocessing()
            )
        if spec.weights == DEFAULT_WEIGHTS:
            state = published_weights(spec.key, entry.url)
            model = models.get_model(spec.key, **options)
            if hasattr(model, "transform_input"):
                model.transform_input = (
                    True  # what torchvision's own builder sets beside these weights
                )
            return Built(filled(model, state, spec.key), "IMAGENET1K_V1", classes, Preprocessing())
        state, name = read_weights_file(spec.weights)
        count = class_count(lambda: models.get_model(spec.key, **options), state) or len(classes)
        model = filled(models.get_model(spec.key, num_classes=count, **options), state, spec.key)
        return Built(model, name, classes if count == len(classes) else (), Preprocessing())

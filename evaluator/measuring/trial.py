"""Small networks, images and stored values to try a method or a metric on, in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import VisionTransformer

from evaluator.measuring.saliency import Saliency, min_max
from evaluator.measuring.views import BatchView
from evaluator.metrics.base import Alteration, Explained, Versions
from evaluator.networks.backbone_loading import Backbone, with_attention
from evaluator.networks.network import Network
from evaluator.networks.target_layer import split_at
from evaluator.networks.tracing import record_forward
from evaluator.plan import RunPlan
from evaluator.records import LoadedBackbone, Preprocessing


@dataclass(frozen=True)
class Verdict:
    """One rule.

    Attributes:
        rule: which; ``passed``: ``None`` where it does not apply; ``found``: in a few words, with
            the number.
    """

    rule: str
    passed: bool | None
    found: str


def equal(rule: str, found: Tensor, expected: Tensor, tolerance: float, name: str) -> Verdict:
    """Whether two tensors are at most ``tolerance`` apart."""
    if found.shape != expected.shape:
        return Verdict(rule, False, f"{list(found.shape)} against {list(expected.shape)} ({name})")
    apart = float((found.double() - expected.double()).abs().max()) if found.numel() else 0.0
    return Verdict(
        rule, apart <= tolerance, f"at most {apart:.2g} apart, {tolerance:g} allowed ({name})"
    )


SIDE = 32
CHANNELS = 6
CLASSES = 10
LAYER = "features"
TRANSFORMER_LAYER = "encoder.layers.encoder_layer_1.ln_1"

Head = Literal["gap", "deep", "transformer"]
"""The kind of network, by what follows its target layer: global average pooling and one linear
layer; or pooling, two linear layers and a curved function between them; or the last block of a
vision transformer.
"""


class TrialModel(nn.Module):
    """Two convolutions and a head; the target layer ``features`` gives ``[B, K, 8, 8]``.

    Args:
        channels: K.
        dead: the target layer is zero for every image.
    """

    def __init__(self, head: Literal["gap", "deep"], channels: int, *, dead: bool = False) -> None:
        super().__init__()
        last: nn.Module = nn.ReLU() if dead else nn.SiLU()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(8, channels, 3, stride=2, padding=1),
            last,
        )
        self.head: nn.Module
        if head == "gap":
            self.head = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)
            )
        else:
            self.head = nn.Sequential(
                nn.AdaptiveAvgPool2d(4),
                nn.Flatten(),
                nn.Linear(16 * channels, 24),
                nn.SiLU(),
                nn.Linear(24, CLASSES),
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.data *= 2.0  # torch's initialisation gives nearly equal logits
        convolution = self.features[2]
        if dead and isinstance(convolution, nn.Conv2d) and convolution.bias is not None:
            convolution.bias.data.fill_(-1e4)

    def forward(self, images: Tensor) -> Tensor:
        """``[n, 3, H, W]`` → logits ``[n, C]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


def trial_transformer(channels: int, *, dead: bool = False) -> VisionTransformer:
    """A vision transformer of two blocks over a class token and 8 × 8 positions.

    Args:
        channels: K, even.
        dead: the target layer, the first norm of the last block, is zero for every image.
    """
    model = VisionTransformer(SIDE, SIDE // 8, 2, 2, channels, 2 * channels, num_classes=CLASSES)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5)  # torchvision's are nearly equal, the last is 0
    if dead:
        norm = model.encoder.layers[-1].ln_1
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)
    return model


def trial_model(head: Head = "gap", channels: int = CHANNELS, *, dead: bool = False) -> nn.Module:
    """A seeded model in evaluation mode, without gradients for its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if head == "transformer":
            model: nn.Module = trial_transformer(channels, dead=dead)
        else:
            model = TrialModel(head, channels, dead=dead)
        return model.eval().requires_grad_(False)


def trial_network(head: Head = "gap", channels: int = CHANNELS, *, dead: bool = False) -> Network:
    """The model on the CPU, cut at its target layer; the cut is shared, its weights are fixed."""
    backbone = _trial_backbone(head, channels, dead)
    return Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=16)


@cache
def _trial_backbone(head: Head, channels: int, dead: bool) -> Backbone:
    model = trial_model(head, channels, dead=dead)
    plain = Preprocessing(SIDE, SIDE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    found = record_forward(model, plain)
    split = split_at(model, None if head == "transformer" else LAYER, found)
    layout = split.layout
    facts = LoadedBackbone(
        "trial",
        "random:0",
        "0" * 64,
        split.layer,
        layout.channels,
        layout.height,
        layout.width,
        split.linear is not None,
        (),
        plain,
        found.logits.shape[1],
        cut=split.kind,
        tokens=layout.tokens,
    )
    cut = Backbone(
        split.trunk,
        split.head,
        split.linear,
        facts,
        layout,
        as_built=lambda: trial_model(head, channels, dead=dead),
    )
    return with_attention(cut, model, found)


def trial_images(count: int, seed: int = 0) -> Tensor:
    """Draw smooth blobs with a little noise, ``[count, 3, H, W]``, normalised.

    The first images are the same for a seed, whatever the count.
    """
    return torch.stack([_image(seed * 10_000 + place) for place in range(count)])


def _image(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, 4, 4, generator=generator) * 1.5
    blobs = interpolate(coarse, size=(SIDE, SIDE), mode="bicubic", align_corners=False)[0]
    return blobs + 0.2 * torch.randn(3, SIDE, SIDE, generator=generator)


def keys_of(count: int) -> list[bytes]:
    """One noise key for each image."""
    return [b"0\0trial-%d" % place for place in range(count)]


def view_of(network: Network, images: Tensor, keys: Sequence[bytes]) -> BatchView:
    """The clean pass over some images; the predicted class is explained."""
    observed = network.observe(len(images), lambda start, stop: images[start:stop])
    return BatchView(network, lambda: images, observed, observed.logits.argmax(1), keys)


def trial_view(head: Head = "gap", *, images: int = 4, channels: int = CHANNELS) -> BatchView:
    """Make a view of a small network, as a method's ``combine`` gets it."""
    return view_of(trial_network(head, channels), trial_images(images), keys_of(images))


@dataclass(frozen=True)
class TrialProbe:
    """``metrics.base.Probe`` for values of ``trial_explained``: answers by a formula."""

    clean: Tensor
    saliency: Saliency

    @property
    def images(self) -> Tensor:
        """The maps in grey, ``[B, 3, H, W]``."""
        return self.saliency.pixels()[:, None].expand(len(self.clean), 3, -1, -1)

    def without(self, missing: Tensor) -> Tensor:
        """Lower the confidence by the share of missing saliency, ``[B, M, H, W]`` → ``[B, M]``."""
        shown = self.saliency.pixels()[:, None].double()
        return self.clean[:, None] * (
            1 - (shown * missing).sum((2, 3)) / shown.sum((2, 3)).clamp(min=1e-12)
        )

    def confidence(self, versions: Versions, count: int) -> Tensor:
        """Lower the confidence by the mean change of the pixels, ``[B, count]``."""
        images = self.images
        changes = [
            (versions(place, 0, count) - images[place]).double().abs().mean((1, 2, 3))
            for place in range(len(images))
        ]
        return self.clean[:, None] * (1 - torch.stack(changes)).clamp(min=0)

    def baseline_confidence(self) -> Tensor:
        """A tenth of the confidence."""
        return self.clean / 10

    def explained(self, alter: Alteration, name: str, step: int) -> Saliency:
        """The mean of the channels of what is altered."""
        drawn = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(step))
        images = self.images
        altered = alter(images, (2 * drawn - 1).expand_as(images))
        return Saliency(altered.mean(1).clamp(0, 1), SIDE, SIDE)

    def least_likely(self) -> Saliency:
        """Turn each map upside down."""
        return Saliency(self.saliency.values.flip(1), SIDE, SIDE)

    def random_weights(self) -> Saliency:
        """Turn each map from left to right."""
        return Saliency(self.saliency.values.flip(2), SIDE, SIDE)


def trial_explained(*, images: int = 4, seed: int = 0) -> Explained:
    """Seeded confidences, maps, true regions and a probe, as a metric's ``measure`` gets them."""
    generator = torch.Generator().manual_seed(seed)
    clean, masked = torch.rand(2, images, generator=generator, dtype=torch.float64)
    return explained_by(
        clean, masked, min_max(torch.randn(images, 8, 8, generator=generator).relu())
    )


def explained_by(clean: Tensor, masked: Tensor, maps: Tensor) -> Explained:
    """Wrap confidences and maps ``[B, h, w]`` as a metric sees them.

    The left half is the object, values are ``(y + o) / 2``.
    """
    saliency = Saliency(maps, SIDE, SIDE)
    truth = (torch.arange(SIDE) < SIDE // 2).expand(len(clean), SIDE, SIDE)
    values: dict[str, Tensor] = defaultdict(lambda: (clean + masked) / 2)
    probe = TrialProbe(clean, saliency)
    return Explained(clean, masked, saliency, values, truth, probe, settings=RunPlan)


class Seen(NamedTuple):
    """Input of ``slow(seen)``: class ``c`` of one image ``x``, ``[3, H, W]``, and a whole network.

    Attributes:
        model: the network; ``layer``: its target layer.
    """

    model: nn.Module
    layer: nn.Module
    x: Tensor
    c: int

    def passed(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute ``A`` and ``g = ∂s_c/∂A``, ``[K, h, w]``, and logits ``[C]`` of an image.

        By autograd through the whole network.
        """
        kept: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            kept.append(output.clone())
            return kept[0]

        handle = self.layer.register_forward_hook(keep)
        try:
            with torch.enable_grad():
                logits = self.model(x.detach().clone()[None].requires_grad_())[0]
        finally:
            handle.remove()
        (gradient,) = torch.autograd.grad(logits[self.c], kept[0])
        return kept[0][0].detach(), gradient[0], logits.detach()

    def logits(self, x: Tensor) -> Tensor:
        """``s``, ``[C]``."""
        with torch.no_grad():
            found: Tensor = self.model(x[None])[0]
        return found

    def probability(self, x: Tensor) -> Tensor:
        """``softmax(s)_c``."""
        return self.logits(x).softmax(0)[self.c]


def trial_seen(head: Head, place: int, target: int) -> Seen:
    """One of ``trial_images`` in float64."""
    model = trial_model(head).double()
    layer = model.get_submodule(TRANSFORMER_LAYER if head == "transformer" else LAYER)
    return Seen(model, layer, trial_images(place + 1)[place].double(), target)

"""The target layer of networks that hide it: class tokens, mixers, layers called twice; and
torchvision's, which stay what they were.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from evaluator.backbones import BackboneSpec
from evaluator.errors import Mismatch, UsageError
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.graph_cut import Split
from evaluator.networks.maps import Chooser
from evaluator.networks.target_layer import split_at
from evaluator.networks.tracing import record_forward
from tests.attention import TRANSFORMERS
from tests.networks import plain, random_images

SIDE = 64
KINDS = ["graph", "hooks"]


def split(
    model: nn.Module, layer: str | None = None, kind: str | None = None, by: Chooser = "user"
) -> Split:
    model = model.eval().requires_grad_(False)
    return split_at(model, layer, record_forward(model, plain(SIDE)), kind=kind, by=by)


class Mixing(nn.Module):
    """Attention by another name: heads, and no word of it in any class or module."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        n, count, width = tokens.shape
        q, k, v = self.qkv(tokens).reshape(n, count, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1) * 0.3).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, count, width))  # type: ignore[no-any-return]  # a module's call is Any


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.mix = nn.LayerNorm(width), Mixing(width)
        self.norm2, self.mlp = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.mix(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens)).relu()  # type: ignore[no-any-return]  # a module's call is Any


class ClassToken(nn.Module):
    """Patch embedding, blocks, a norm, and a classifier of the class token or of the mean."""

    def __init__(self, *, mean: bool = False, block: type[nn.Module] = Block) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 32, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 32))
        self.blocks = nn.Sequential(block(32), block(32), block(32))
        self.norm, self.head, self.mean = nn.LayerNorm(32), nn.Linear(32, 5), mean

    def forward(self, images: Tensor) -> Tensor:
        patches = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(patches.shape[0], -1, -1), patches], 1)
        tokens = self.norm(self.blocks(tokens))
        return self.head(tokens[:, 1:].mean(1) if self.mean else tokens[:, 0])  # type: ignore[no-any-return]  # a module's call is Any


class Attn(Mixing):
    """By this name the rule knows it."""


class AttnBlock(Block):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.mix = Attn(width)


def gradient_at(cut: Split) -> Tensor:
    """Of the most confident logits, at the positions of the map."""
    output = cut.trunk(torch.randn(2, 3, SIDE, SIDE))
    raw, *sides = output if isinstance(output, tuple) else (output,)
    if cut.kind == "hooks":
        sides.pop()
    leaf = raw.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(cut.head(leaf, *sides).amax(1).sum(), leaf)
    return cut.layout.to_map(gradient)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_reaches_the_patches_of_a_network_that_reads_its_class_token(
    kind: str,
) -> None:
    known = split(ClassToken(block=AttnBlock), kind=kind)
    assert known.layer == "blocks.2.norm1"
    unknown = split(ClassToken(), kind=kind)
    assert unknown.layer.startswith("blocks.2.mix.qkv"), "behind it, the class token alone counts"
    averaged = split(ClassToken(mean=True), kind=kind)
    assert averaged.layer.startswith("norm" if kind == "hooks" else "getitem"), "what is averaged"
    for cut in (known, unknown, averaged):
        assert (cut.layout.height, cut.layout.width) == (8, 8)
        assert gradient_at(cut).count_nonzero() > 0
        assert cut.remarks == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("norm", "cannot be explained: no gradient of a logit reaches its positions"),
        ("blocks.2.mlp", "no gradient of a logit reaches its positions"),
    ],
)
def test_a_named_layer_that_no_gradient_reaches_is_refused(
    kind: str, layer: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        split(ClassToken(), layer, kind)
    assert "(32 × 8 × 8)" in caught.value.hint
    assert "blocks." in caught.value.hint


class Mixer(nn.Module):
    """Tokens behind a patch embedding, which is a map too, but not the last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 32, 8, 8)
        self.tokens, self.channels = nn.Linear(64, 64), nn.Linear(32, 32)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images).flatten(2).transpose(1, 2)
        x = x + 0.3 * self.tokens(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(x).relu()
        return self.head(self.norm(x).mean(1))  # type: ignore[no-any-return]  # a module's call is Any


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_without_attention_are_the_last_map(kind: str) -> None:
    assert split(Mixer(), kind=kind).layer == "norm"


class Views(nn.Module):
    """One trunk for an image and for what ``change`` makes of it."""

    def __init__(self, change: str = "flip") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()
        )
        self.classes, self.change = nn.Linear(32, 5), change

    def other(self, images: Tensor) -> Tensor:
        if self.change == "turn":
            return images.rot90(1, (2, 3))
        if self.change == "quarter":
            return nn.functional.interpolate(images[:, :, :32, :32], scale_factor=2.0)
        return images.flip(-1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.trunk(images) + self.trunk(self.other(images))
        return self.classes(maps.mean((2, 3)))  # type: ignore[no-any-return]  # a module's call is Any


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_layer_that_is_called_twice_the_call_is_chosen(kind: str) -> None:
    """By default the one whose map is the image's, and readers are told."""
    images = torch.randn(2, 3, SIDE, SIDE)
    expected = Views()(images)
    for layer in (None, "trunk#1", "trunk.2#1"):
        cut = split(Views(), layer, kind)
        assert "#1" in cut.layer
        assert "is called 2 times in a pass" in cut.remarks[0]
        output = cut.trunk(images)
        raw, *sides = output
        if cut.kind == "hooks":
            sides.pop()
        if layer != "trunk.2#1":
            assert torch.allclose(raw, Views().trunk(images), atol=1e-6)
        assert torch.allclose(cut.head(raw, *sides), expected, atol=1e-6)
        assert split(Views(), cut.layer, kind).layer == cut.layer, "its name leads back to it"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["flip", "turn", "quarter"])
def test_a_call_on_another_view_is_refused(kind: str, change: str) -> None:
    with pytest.raises(UsageError, match="'trunk#2' is no map of the image") as caught:
        split(Views(change), "trunk#2", kind)
    assert "type layer=trunk" in caught.value.hint
    assert "#1 (32 × 16 × 16)" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_is_called_twice_is_refused_without_its_call(kind: str) -> None:
    with pytest.raises(UsageError, match="layer 'trunk' is called 2 times") as caught:
        split(Views(), "trunk", kind)
    assert "layer=trunk#1 or layer=trunk#2" in caught.value.hint
    with pytest.raises(UsageError, match="no call 'trunk#3'"):
        split(Views(), "trunk#3", kind)


def test_a_run_goes_on_at_the_last_call() -> None:
    """As those of earlier versions were begun."""
    net = models.resnet18(weights=None)
    assert split(net, "layer4.1.relu", by="run").layout.channels == 512
    with pytest.raises(UsageError, match="is called 2 times in a pass"):
        split(net, "layer4.1.relu")


@pytest.mark.long
def test_lite_s_layer_by_hooks_is_what_it_was() -> None:
    """Its activation is called twice outside the blocks; runs of earlier versions name it so."""
    pytest.importorskip("efficientnet_lite_pytorch")
    spec = BackboneSpec("efficientnet_lite0", "random:0", cut="hooks")
    assert load_backbone(spec).facts.layer == "_swish"
    assert load_backbone(spec, layer="_swish").facts.channels == 1280


def test_a_run_goes_on_at_its_layer_or_is_refused() -> None:
    spec = BackboneSpec("resnet18", "random:0", side=SIDE)
    assert load_backbone(spec, layer="layer3").facts.layer == "layer3"
    with pytest.raises(Mismatch, match=r"the run was begun at a layer that is refused now: layer"):
        load_backbone(spec, layer="fc")


LAYERS = {
    "alexnet": "features.12",
    "convnext_tiny": "features.7.2.add",
    "densenet121": "relu",
    "efficientnet_b0": "features.8.2",
    "efficientnet_v2_s": "features.7.2",
    "googlenet": "inception5b.cat",
    "inception_v3": "Mixed_7c.cat_2",
    "mnasnet0_5": "layers.16",
    "mobilenet_v2": "features.18.2",
    "mobilenet_v3_small": "features.12.2",
    "regnet_x_400mf": "trunk_output.block4.block4-11.activation",
    "resnet18": "layer4",
    "resnet34": "layer4.2.relu_1",
    "shufflenet_v2_x0_5": "conv5.2",
    "squeezenet1_1": "classifier.2",
    "swin_t": "features.7.1.norm1",
    "vgg11": "features.20",
}


@pytest.mark.long
@pytest.mark.parametrize("key", LAYERS)
def test_torchvision_s_layers_are_what_they_were(key: str) -> None:
    """A cell is another one at another layer."""
    assert load_backbone(BackboneSpec(key, "random:0", side=160)).facts.layer == LAYERS[key]


def test_modules_whose_names_end_in_numbers_are_not_taken_for_each_other() -> None:
    """The tracer calls ``ln_1`` and ``ln_2`` "ln" and "ln_1"."""
    model = TRANSFORMERS["torchvision"]().eval()
    found = split_at(model, None, record_forward(model, plain()))
    assert found.layer == "encoder.layers.encoder_layer_2.ln_1"
    module = dict(model.named_modules())[found.layer]
    kept: list[Tensor] = []
    module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    images = random_images(2, seed=3)
    with torch.no_grad():
        model(images)
        raw, *_ = found.trunk(images)
    assert torch.equal(raw, kept[0])

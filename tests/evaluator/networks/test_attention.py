"""The self-attention of transformers in the open: what the network computes, its gradient, and that
all is put back.
"""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

from evaluator.measuring.views import BatchView
from evaluator.methods.base import Attention
from evaluator.networks.attention import tokens_read, unfused
from evaluator.networks.network import Network
from tests.agreement import noise_of
from tests.attention import TRANSFORMERS, attended, transformer_bench
from tests.networks import as_backbone, gap_network, random_images
from tests.reference import Explained

BLOCKS, HEADS, TOKENS = 3, 2, 17


def small_vit() -> nn.Module:
    torch.manual_seed(2)
    model: nn.Module = models.VisionTransformer(
        image_size=32,
        patch_size=8,
        num_layers=BLOCKS,
        num_heads=HEADS,
        hidden_dim=24,
        mlp_dim=32,
        num_classes=10,
    )
    nn.init.normal_(model.get_submodule("heads.head").weight)  # type: ignore[arg-type]  # torchvision leaves zeros
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def view() -> BatchView:
    network = Network(
        as_backbone(small_vit(), None), device=torch.device("cpu"), precision="fp32", batch_size=2
    )
    images = random_images(5)
    seen = network.observe(5, lambda start, stop: images[start:stop])
    return BatchView(network, lambda: images, seen, seen.logits.argmax(1), [b""] * 5)


def test_the_weights_are_those_of_every_block(view: BatchView) -> None:
    assert view._network.backbone.facts.attention == BLOCKS
    found: list[Attention] = []

    def keep(attention: Attention) -> Tensor:
        found.append(attention)
        return attention.weights[0].mean((1, 2, 3))

    before = view._network.forwards
    assert view.attention(keep).shape == (5,)
    assert view._network.forwards == before + 5
    assert [len(one.weights[0]) for one in found] == [2, 2, 1], "a batch at a time"
    first = found[0]
    assert (first.prefix, first.height, first.width, first.gradients) == (1, 4, 4, ())
    assert [tuple(weights.shape) for weights in first.weights] == [
        (2, HEADS, TOKENS, TOKENS)
    ] * BLOCKS
    assert torch.allclose(first.weights[1].sum(-1), torch.ones(2, HEADS, TOKENS))
    expected = weights_of_block(view._images[:2], 1)
    assert torch.allclose(first.weights[1], expected, atol=1e-6)


def weights_of_block(images: Tensor, block: int) -> Tensor:
    """As torch itself returns them: averaged over nothing, by ``need_weights``."""
    model, kept = small_vit(), list[Tensor]()
    attention = model.get_submodule(f"encoder.layers.encoder_layer_{block}.self_attention")

    def ask(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept.append(functional_weights(attention, inputs[0]))

    attention.register_forward_pre_hook(ask)
    model(images)
    return kept[0]


def functional_weights(attention: nn.Module, tokens: Tensor) -> Tensor:
    assert isinstance(attention, nn.MultiheadAttention)
    weights: Tensor = functional.multi_head_attention_forward(
        tokens.transpose(0, 1),
        tokens.transpose(0, 1),
        tokens.transpose(0, 1),
        attention.embed_dim,
        HEADS,
        attention.in_proj_weight,
        attention.in_proj_bias,
        None,
        None,
        False,
        0.0,
        attention.out_proj.weight,
        attention.out_proj.bias,
        training=False,
        need_weights=True,
        average_attn_weights=False,
    )[1]  # type: ignore[assignment]  # asked for
    return weights


def test_the_gradient_is_the_slope_of_the_logit(view: BatchView) -> None:
    """Changing one weight of the second block by a little changes the logit by the gradient."""
    gradient = view.attention(lambda attention: attention.gradients[1], gradients=True)
    assert gradient.shape == (5, HEADS, TOKENS, TOKENS)
    target, step = view.targets[0], 1e-2
    slope = (
        changed_logit(view._images[:1], target, step)
        - changed_logit(view._images[:1], target, -step)
    ) / (2 * step)
    assert gradient[0, 1, 3, 5].item() == pytest.approx(slope, rel=0.02, abs=1e-4)


def changed_logit(images: Tensor, target: Tensor, step: float) -> float:
    """The logit when one weight of the second block is another."""
    model = small_vit()
    original, calls = functional.scaled_dot_product_attention, [0]

    def changed(query: Tensor, key: Tensor, value: Tensor, *_: object) -> Tensor:
        weights = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1)
        if calls[0] == 1:
            weights[0, 1, 3, 5] += step
        calls[0] += 1
        return torch.matmul(weights, value)

    functional.scaled_dot_product_attention = changed  # type: ignore[assignment]  # put back below
    try:
        return float(model(images.clone().requires_grad_()).detach()[0, target])
    finally:
        functional.scaled_dot_product_attention = original


def test_a_pass_that_is_differentiated_takes_fewer_images_at_once(view: BatchView) -> None:
    sizes: list[int] = []

    def keep(attention: Attention) -> Tensor:
        sizes.append(len(attention.gradients[0]))
        return attention.gradients[0].mean((1, 2, 3))

    assert view.attention(keep, gradients=True).shape == (5,)
    assert sizes == [1] * 5, "a quarter of two, one at least"


def test_everything_is_put_back() -> None:
    model, before = small_vit(), functional.scaled_dot_product_attention
    with pytest.raises(ValueError, match="unpack"), unfused(model):
        model(torch.zeros(1, 1))
    with unfused(model):
        assert functional.scaled_dot_product_attention is not before
    assert functional.scaled_dot_product_attention is before
    assert torch.backends.mha.get_fastpath_enabled()


def test_networks_without_attention_over_their_map_have_none() -> None:
    assert as_backbone(gap_network()).whole is None
    torch.manual_seed(3)
    swin = models.SwinTransformer(
        patch_size=[4, 4],
        embed_dim=12,
        depths=[2],
        num_heads=[2],
        window_size=[4, 4],
        num_classes=10,
    )
    assert as_backbone(swin, None).facts.attention == 0


@pytest.mark.parametrize(
    ("network", "first", "count"),
    [
        ("torchvision", 0, 1),
        ("registers", 0, 1),
        ("averaged", 1, 16),
        ("without-class-token", 0, 16),
    ],
)
def test_the_tokens_that_the_classifier_reads(network: str, first: int, count: int) -> None:
    read = tokens_read(TRANSFORMERS[network]().requires_grad_(False), random_images(2))
    assert read is not None
    assert read.nonzero()[:, 0].tolist() == list(range(first, first + count))
    assert float(read.sum()) == pytest.approx(1)


@pytest.mark.parametrize("network", list(TRANSFORMERS))
def test_weights_and_gradients_are_those_of_hooks(network: str) -> None:
    """Those of an independent implementation, head by head, in float64."""
    model, images = TRANSFORMERS[network](), random_images(2, seed=1)
    made = transformer_bench(network)
    found = made.network.attention(images, torch.tensor([3, 3]), gradients=True)
    for place, image in enumerate(images):
        slow = deepcopy(model).double()
        blocks = attended(
            Explained(slow, slow, image.double(), 3, noise_of(made, b""), masked=False)
        )
        assert len(blocks) == len(found.weights) == len(found.gradients) == 3
        for block, weights, gradient in zip(blocks, found.weights, found.gradients, strict=True):
            assert torch.allclose(weights[place].double(), block.weights, atol=1e-5)
            assert torch.allclose(gradient[place].double(), block.gradient, atol=1e-4)

"""LeGrad beside one score after the other, by hand, beside torchcam's, and where it applies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.errors import NoGradient, NotApplicable
from evaluator.methods.base import View
from evaluator.networks.network import Network
from evaluator.plan import validated_plan
from tests.attention import TRANSFORMERS, AttentionView, attention_of, transformer_bench
from tests.evaluator.methods.image_maps import view_of
from tests.networks import random_images

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, blocks: str = "0", score: str = "mean") -> Tensor:
    """The network is run again for every block, whose tokens take the place of the last one's."""
    modules = _blocks(seen.model)
    tokens: list[Tensor] = []
    handles = [one.register_forward_hook(lambda _, __, out: tokens.append(out)) for one in modules]
    with attention_of(seen.model) as kept:
        seen.model(seen.x.detach().clone()[None].requires_grad_())
    for handle in handles:
        handle.remove()
    total = torch.zeros(kept[0].shape[-1]).to(seen.x)
    for weights, own in list(zip(kept, tokens, strict=True))[-int(blocks) :]:
        shown = own.mean(1, keepdim=True).expand_as(own) if score == "mean" else own
        handle = modules[-1].register_forward_hook(_giving(shown))
        logit = seen.model(seen.x[None])[0, seen.c]
        handle.remove()
        (gradient,) = torch.autograd.grad(logit, weights, retain_graph=True)
        for head in gradient[0]:
            for asking in head:
                total += asking.clamp(min=0)
    prefix = getattr(seen.model, "num_prefix_tokens", 1)
    side = round((len(total) - prefix) ** 0.5)
    return total[prefix:].view(side, side)


def _giving(tokens: Tensor) -> Any:
    return lambda _module, _inputs, _output: tokens


def _blocks(model: nn.Module) -> list[nn.Module]:
    inside = model.get_submodule("blocks" if hasattr(model, "blocks") else "encoder.layers")
    return list(inside.children())


def test_by_hand() -> None:
    """A class token and two positions, one head, two blocks: what is negative counts nothing."""
    first, second = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    first[0, 0, 0] = torch.tensor([9.0, 3.0, -3.0])
    second[0, 0, 2] = torch.tensor([9.0, 0.0, 6.0])
    view = cast("View", AttentionView([first, second], [first, second]))
    assert method("legrad").combine(view).tolist() == [[[1, 2]]]
    assert method("legrad:blocks=1").combine(view).tolist() == [[[0, 2]]]


def test_agrees_with_torchcam() -> None:
    from torchcam.methods import LeGrad

    made, images = transformer_bench("torchvision"), random_images(3, seed=1)
    view = view_of(made, images)
    model = TRANSFORMERS["torchvision"]()
    blocks: list[nn.Module | str] = [*_blocks(model)]
    with LeGrad(model, blocks) as extractor:
        scores = model(images.clone().requires_grad_())
        (theirs,) = extractor(view.targets.tolist(), scores)
    found = method("legrad").combine(view)
    low = found.amin((1, 2), keepdim=True)
    assert ((found - low) / (found.amax((1, 2), keepdim=True) - low) - theirs).abs().max() < 1e-5


def test_the_last_block_s_own_score_is_the_network_s() -> None:
    made = transformer_bench("timm")
    view = view_of(made, random_images(2, seed=1))
    whole, last = (
        view.attention(lambda found: found.gradients[-1], gradients=True, score=score)
        for score in ("", "read")
    )
    assert whole.abs().max() > 0
    assert (whole - last).abs().max() < 1e-6


def test_elsewhere_it_is_refused() -> None:
    with pytest.raises(NotApplicable, match="it needs attention blocks over all tokens"):
        validated_plan({"data": "x", "backbones": ["resnet18"], "methods": ["legrad"]})


def test_blocks_that_are_not_known_are_told() -> None:
    network: Network = transformer_bench("timm").network
    images = random_images(1, seed=1)
    unknown = replace(network.backbone, blocks=())
    with pytest.raises(NoGradient, match="no block of the network has a score of its own"):
        unknown.attention(images, torch.tensor([0]), gradients=True, score="mean")

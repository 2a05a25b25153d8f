from __future__ import annotations

import pytest
import torch

from evaluator.networks.graph_cut import split_traced
from evaluator.networks.tracing import record_forward, traced
from evaluator.synthetic.train import NETWORKS, SIDE, TARGET_LAYER
from tests.networks import plain


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_cut_at_its_target_layer(name: str) -> None:
    torch.manual_seed(0)
    model = NETWORKS[name](8).eval()
    record = record_forward(model, plain(SIDE))
    split = split_traced(traced(model, record.output), model, TARGET_LAYER, record)
    images = torch.rand(2, 3, SIDE, SIDE)
    activation = split.trunk(images)
    assert activation.shape == (2, 48, 8, 8)
    assert activation.min() >= 0
    assert torch.allclose(split.head(activation), model(images), atol=1e-6)
    assert (split.linear is not None) == name.startswith("synthetic_gap")


def test_the_gradient_of_the_vgg_like_head_differs_from_position_to_position() -> None:
    torch.manual_seed(0)
    model = NETWORKS["synthetic_cnn"](8).eval()
    activation = torch.rand(1, 48, 8, 8, requires_grad=True)
    logits = model.classifier(torch.flatten(model.pool(activation), 1))
    (gradient,) = torch.autograd.grad(logits[0, 0], activation)
    assert gradient.std((2, 3)).mean() > 1e-4

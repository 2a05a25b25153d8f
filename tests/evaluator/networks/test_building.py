"""Weights drawn anew: every one, by its module's rule, from the seed alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evaluator.networks.building import redraw


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 64, 5)
        self.norm = nn.BatchNorm2d(64)
        self.attention = nn.MultiheadAttention(64, 4)
        self.token = nn.Parameter(torch.linspace(2, 4, 1000))
        self.head = nn.Linear(64, 500)


def made() -> Network:
    """The same each time, and nothing of it as a new network has it."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        network = Network().requires_grad_(False)
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape)).add_(3.0)
    return network


def test_every_weight_is_drawn_by_the_rule_of_its_module() -> None:
    network, state = made(), torch.get_rng_state()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    redraw(network)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in network.state_dict().items():
        assert not torch.equal(value, before[name]) or not value.is_floating_point(), name
    assert float(network.convolution.weight.std()) == pytest.approx((2 / 75) ** 0.5, rel=0.05)
    assert float(network.head.weight.std()) == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert not network.head.bias.any()
    assert network.norm.weight.eq(1).all()
    assert network.norm.running_var is not None
    assert network.norm.running_var.eq(1).all()
    inner, outer = network.attention.in_proj_weight, before["attention.in_proj_weight"]
    assert float(inner.mean()) == pytest.approx(float(outer.mean()), abs=0.02)
    assert float(inner.std()) == pytest.approx(float(outer.std()), rel=0.05)
    assert float(network.token.std()) == pytest.approx(float(before["token"].std()), rel=0.1)


def test_the_seed_alone_says_which() -> None:
    first, second, third = made(), made(), made()
    redraw(first)
    torch.rand(5)
    redraw(second)
    redraw(third, seed=1)
    pairs = zip(first.state_dict().items(), second.state_dict().values(), strict=True)
    assert all(torch.equal(value, other) for (_, value), other in pairs)
    assert not torch.equal(first.token, third.token)
    assert not torch.equal(first.norm.weight, first.convolution.weight[0, 0, 0])

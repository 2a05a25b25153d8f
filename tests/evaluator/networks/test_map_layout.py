"""Layers' outputs as maps and back: feature maps, channels last, tokens with a prefix; and what is
no map.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evaluator.networks.maps import MapLayout, map_layout, no_map, prefix_tokens


@pytest.mark.parametrize(
    ("shape", "prefix", "expected"),
    [
        ((2, 512, 7, 7), None, (512, 7, 7, None)),
        ((2, 7, 7, 768), None, (768, 7, 7, None)),
        ((2, 197, 768), None, (768, 14, 14, 1)),
        ((2, 196, 768), None, (768, 14, 14, 0)),
        ((2, 198, 192), 2, (192, 14, 14, 2)),
        ((2, 201, 384), None, (384, 14, 14, 5)),
        ((2, 1374, 384), 5, (384, 37, 37, 5)),
    ],
)
def test_a_map_and_back(
    shape: tuple[int, ...], prefix: int | None, expected: tuple[int, ...]
) -> None:
    view = map_layout(shape, prefix)
    assert view is not None
    assert (view.channels, view.height, view.width, view.tokens) == expected
    raw = torch.randn(shape)
    values, rest = view.to_map(raw)
    assert values.shape == (2, *expected[:3])
    assert torch.equal(view.to_raw(values, rest), raw)


def test_a_changed_map_leaves_the_prefix_as_it_was() -> None:
    view = map_layout((1, 5, 3), 1)
    assert view is not None
    raw = torch.arange(15.0).view(1, 5, 3)
    values, rest = view.to_map(raw)
    assert values[0, :, 0, 1].tolist() == [6, 7, 8], "the second token of the map, row by row"
    changed = view.to_raw(values * 0, rest)
    assert changed[0, 0].tolist() == [0, 1, 2]
    assert not changed[0, 1:].any()


@pytest.mark.parametrize(
    ("shape", "prefix"),
    [((2, 10), None), ((2, 512, 1, 1), None), ((2, 198, 8), 1), ((2, 31, 8), None), ((2, 1, 8), 1)],
)
def test_what_is_no_map(shape: tuple[int, ...], prefix: int | None) -> None:
    assert map_layout(shape, prefix) is None


def test_a_square_of_as_many_channels_has_them_first() -> None:
    assert type(map_layout((2, 8, 8, 8), None)) is MapLayout


def test_the_prefix_is_told_or_known_to_the_model() -> None:
    model = nn.Module()
    assert prefix_tokens(model, None) is None
    model.num_prefix_tokens = 5  # type: ignore[assignment]  # a plain attribute, as timm has it
    assert prefix_tokens(model, None) == 5
    assert prefix_tokens(model, 0) == 0


def test_a_refusal_names_the_shape_and_layers_that_would_do() -> None:
    tokens = no_map("norm", (2, 198, 8), 1, ["a", "b"])
    assert (
        tokens.message
        == "layer 'norm' gives no feature map: its 198 tokens behind 1 prefix tokens make no "
        "square grid"
    )
    assert tokens.hint == "tokens=P; for example layer=b; others: a"
    assert "its output is 10 for each image" in no_map("fc", (2, 10), None, []).message
    assert "its output is no tensor" in no_map("fc", None, None, []).message

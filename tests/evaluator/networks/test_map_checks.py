"""What counts as a map of the image: cells that move with it, and that a logit depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from evaluator.errors import UsageError
from evaluator.networks.maps import (
    Judged,
    MapLayout,
    Place,
    Seen,
    accepted,
    call_of,
    first_map,
    how_cells_move,
    maps_among,
    moving_views,
)

SIDE = 96
LAYOUT = MapLayout(12, 12, 16)


def trunk() -> nn.Module:
    torch.manual_seed(0)
    layers = [
        layer
        for inputs, outputs in ((3, 16), (16, 16), (16, 16))
        for layer in (nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU())
    ]
    return nn.Sequential(*layers).eval().requires_grad_(False)


def seen(change: Callable[[nn.Module, Tensor], Tensor], layout: MapLayout = LAYOUT) -> Tensor:
    return change(trunk(), moving_views(torch.zeros(1, 3, SIDE, SIDE), layout))


CODES = torch.randn(1, 16, 12, 12, generator=torch.Generator().manual_seed(1))

MOVING: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "as it is": lambda net, images: net(images),
    "on position codes": lambda net, images: net(images) + 20 * CODES,
    "with dead channels": lambda net, images: (
        net(images) * (torch.arange(16) % 3 > 0)[:, None, None]
    ),
    "beside the mean of all": lambda net, images: net(images) + 5 * net(images).mean((2, 3), True),
}

OTHERWISE: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "mirrored": lambda net, images: net(images.flip(-1)),
    "upside down": lambda net, images: net(images.flip(-2)),
    "turned": lambda net, images: net(images.rot90(1, (2, 3))),
    "turned back": lambda net, images: net(images.rot90(-1, (2, 3))),
    "half a turn": lambda net, images: net(images.rot90(2, (2, 3))),
    "transposed": lambda net, images: net(images.transpose(2, 3)),
    "of a quarter": lambda net, images: net(
        nn.functional.interpolate(images[:, :, : SIDE // 2, : SIDE // 2], SIDE)
    ),
    "constant": lambda net, images: net(images) * 0 + CODES,
    "its mean": lambda net, images: net(images).mean((2, 3), True) * CODES,
    "shuffled": lambda net, images: (
        net(images)
        .flatten(2)[:, :, torch.randperm(144, generator=torch.Generator().manual_seed(2))]
        .view(3, 16, 12, 12)
    ),
    "channels for rows": lambda net, images: (
        net(images).flatten(2)[:, :, :12].transpose(1, 2)[:, :, :12][:, None].expand(-1, 16, -1, -1)
    ),
}


@pytest.mark.parametrize("name", MOVING)
def test_a_map_s_cells_move_with_the_image(name: str) -> None:
    assert how_cells_move(seen(MOVING[name])) == "with the image"


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_moves_otherwise_is_no_map(name: str) -> None:
    assert how_cells_move(seen(OTHERWISE[name])) == "otherwise"


def test_a_sum_of_a_map_and_its_mirror_image_is_in_doubt() -> None:
    assert how_cells_move(seen(lambda net, x: net(x) + net(x.flip(-1)))) == "in doubt"


def test_half_of_an_image_is_no_map_of_it() -> None:
    layout = MapLayout(12, 6, 16)
    assert how_cells_move(seen(lambda net, x: net(x[..., : SIDE // 2]), layout)) == "otherwise"


@pytest.mark.parametrize(
    ("height", "width", "moves"),
    [(2, 2, "with the image"), (3, 2, "with the image"), (1, 7, "otherwise"), (3, 64, "otherwise")],
)
def test_of_maps_with_few_cells_the_shape_counts(height: int, width: int, moves: str) -> None:
    assert how_cells_move(torch.zeros(3, 4, height, width)) == moves


def test_the_views_move_by_one_cell() -> None:
    views = moving_views(torch.zeros(1, 1, 64, 64), MapLayout(8, 16, 1))
    assert views.shape == (3, 1, 64, 64)
    for earlier, later in ((0, 1), (1, 2)):
        assert torch.equal(views[later, :, :56, 4:], views[earlier, :, 8:, :60])


def places(*names: str) -> list[Place]:
    return [Place(name, LAYOUT) for name in names]


def look(unreached: Sequence[str] = (), still: Sequence[str] = (), half: Sequence[str] = ()):  # type: ignore[no-untyped-def]  # a function of the tests
    def run(some: Sequence[Place]) -> list[Seen]:
        kinds = {True: seen(MOVING["as it is"]), False: seen(OTHERWISE["mirrored"])}
        outputs = [
            kinds[True] + kinds[False] if place.name in half else kinds[place.name not in still]
            for place in some
        ]
        return [
            Seen(output, torch.zeros_like(output) if place.name in unreached else output)
            for place, output in zip(some, outputs, strict=True)
        ]

    return run


def name_of(judged: Judged | None) -> str | None:
    return judged and judged.place.name


def test_the_first_that_moves_and_is_reached_is_taken() -> None:
    some = places("norm", "mirror", "sum", "block", "stem")
    found = first_map(some, look(["norm"], ["mirror"], ["sum"]), by="user")
    assert found is not None
    assert (found.place.name, found.remarks) == ("block", ())
    assert name_of(first_map(some, look(["norm"]), by="us")) == "norm", "nothing is tried"


def test_what_is_in_doubt_is_taken_where_nothing_else_is() -> None:
    some = places("mirror", "sum")
    found = first_map(some, look(still=["mirror"], half=["sum"]), by="user")
    assert found is not None
    assert found.place.name == "sum"
    assert "its positions move only partly as the image does" in found.remarks[0]
    assert first_map(places("mirror"), look(still=["mirror"]), by="user") is None


def test_saturated_logits_are_not_held_against_a_layer() -> None:
    some = places("mirror", "block", "stem")
    nowhere = look([place.name for place in some], ["mirror"])
    assert name_of(first_map(some, nowhere, by="user")) == "block"
    judged = Judged(some[1], "with the image", reached=False)
    assert accepted(judged, some[2], nowhere, list) == ()
    with pytest.raises(UsageError, match="no gradient of a logit reaches its positions"):
        accepted(judged, some[2], look(["block"]), list)


def test_a_refusal_lists_what_would_do() -> None:
    judged = Judged(places("mirror")[0], "otherwise", reached=True)
    some = places("mirror", *"abcde")
    with pytest.raises(UsageError, match="'mirror' is no map of the image") as caught:
        accepted(
            judged,
            None,
            look(),
            lambda: [one.shown for one in maps_among(some, look(["a"], ["mirror"]))],
        )
    assert caught.value.hint == (
        "type layer=b (16 × 12 × 12); also c (16 × 12 × 12), d (16 × 12 × 12)"
    )


def test_which_call_is_meant() -> None:
    assert call_of("conv", 1, list, by="user") is None
    assert call_of("conv#1", 1, list, by="user") is None
    assert call_of("conv#2", 3, list, by="user") == 2
    assert call_of("conv", 3, list, by="run") == 3, "as runs of earlier versions have it"
    with pytest.raises(UsageError, match="layer 'conv' is called 3 times in a pass") as caught:
        call_of("conv", 3, lambda: ["conv#1 (16 × 4 × 4)"], by="user")
    assert "layer=conv#1 or layer=conv#3" in caught.value.hint
    for wrong in ("conv#0", "conv#4", "conv#", "conv#x"):
        with pytest.raises(UsageError, match="is called 3 times in a pass"):
            call_of(wrong, 3, list, by="user")

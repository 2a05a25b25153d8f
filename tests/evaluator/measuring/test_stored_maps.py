"""Stored maps as tensors again, and which of them are one."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.measuring.saliency import MapOfImage, saliency_of
from evaluator.records import StoredMap
from tests.agreement import small_bench
from tests.networks import Bench

MAP = StoredMap(7, 0.5, 0.25, b"\0" * 16)


@pytest.fixture(scope="module")
def made() -> Bench:
    return small_bench("vgg-like")


@pytest.mark.parametrize("count", [1, 3])
def test_values_are_read_as_they_were_stored_row_by_row(made: Bench, count: int) -> None:
    facts, side = made.network.backbone.facts, made.network.side
    grids = np.linspace(0, 1, count * facts.height * facts.width, dtype="<f4").reshape(
        count, facts.height, facts.width
    )
    maps = [
        MapOfImage(place, "gradcam", MAP._replace(values=grid.tobytes()))
        for place, grid in enumerate(grids)
    ]
    saliency = saliency_of(maps, made.network)
    assert saliency.values.numpy() == pytest.approx(grids, abs=0)
    pixels = saliency.pixels().numpy()
    assert pixels.shape == (count, side, side)
    corners = np.ix_(range(count), (0, -1), (0, -1))  # the upsampling leaves them as they are
    assert pixels[corners] == pytest.approx(grids[corners], abs=1e-6)
    assert facts.height > 1
    assert facts.width > 1


def test_one_fixed_map_stands_for_all(made: Bench) -> None:
    side = made.network.side
    fixed = MAP._replace(values=None)
    pixels = saliency_of(
        [MapOfImage(place, "fakecam", fixed) for place in range(3)], made.network
    ).pixels()
    assert pixels.shape == (1, side, side)
    assert pixels.sum() == side * side - 1


def test_the_same_values_are_one_map_whoever_made_them() -> None:
    assert (
        MapOfImage(0, "gradcam", MAP).identity
        == MapOfImage(0, "xgradcam", MAP._replace(y=0.9)).identity
    )


@pytest.mark.parametrize(
    "other",
    [
        MapOfImage(1, "gradcam", MAP),
        MapOfImage(0, "gradcam", MAP._replace(target=8)),
        MapOfImage(0, "cam", MAP._replace(values=b"\1" * 16)),
    ],
    ids=["image", "target", "values"],
)
def test_another_image_target_or_map_is_another(other: MapOfImage) -> None:
    assert MapOfImage(0, "gradcam", MAP).identity != other.identity


def test_fixed_maps_are_told_apart_by_their_methods() -> None:
    fixed = MAP._replace(values=None)
    assert (
        MapOfImage(0, "fakecam", fixed).identity
        == MapOfImage(0, "fakecam", fixed._replace(o=0.1)).identity
    )
    assert MapOfImage(0, "fakecam", fixed).identity != MapOfImage(0, "fixed", fixed).identity

"""Stored maps as tensors again, and which of them are one."""

from __future__ import annotations

import pytest
import torch

from evaluator.measuring.stored_maps import MapOfImage, saliency_of
from evaluator.records import StoredMap
from tests.agreement import evaluated, small_bench
from tests.networks import Bench, random_images

MAP = StoredMap(7, 0.5, 0.25, b"\0" * 16)


@pytest.fixture(scope="module")
def made() -> Bench:
    return small_bench("vgg-like")


@pytest.fixture(scope="module")
def stored(made: Bench) -> list[StoredMap]:
    """Grad-CAM's of three images."""
    of = evaluated(made, random_images(3, seed=3), "gradcam")
    return [StoredMap(*one) for one in zip(of.target, of.y, of.o, of.maps, strict=True)]


@pytest.mark.parametrize("count", [1, 3])
def test_pixels_are_those_of_the_values(made: Bench, stored: list[StoredMap], count: int) -> None:
    side = made.network.side
    pixels = saliency_of([MapOfImage(place, "gradcam", one) for place, one in enumerate(stored[:count])], made.network).pixels()
    assert pixels.shape == (count, side, side)
    for place, one in enumerate(stored[:count]):
        assert torch.equal(pixels[place], saliency_of([MapOfImage(0, "gradcam", one)], made.network).pixels()[0])


def test_one_fixed_map_stands_for_all(made: Bench) -> None:
    side = made.network.side
    fixed = MAP._replace(values=None)
    pixels = saliency_of([MapOfImage(place, "fakecam", fixed) for place in range(3)], made.network).pixels()
    assert pixels.shape == (1, side, side)
    assert pixels.sum() == side * side - 1


def test_the_same_values_are_one_map_whoever_made_them() -> None:
    assert MapOfImage(0, "gradcam", MAP).identity == MapOfImage(0, "xgradcam", MAP._replace(y=0.9)).identity


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
    assert MapOfImage(0, "fakecam", fixed).identity == MapOfImage(0, "fakecam", fixed._replace(o=0.1)).identity
    assert MapOfImage(0, "fakecam", fixed).identity != MapOfImage(0, "fixed", fixed).identity

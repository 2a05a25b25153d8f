"""LayerCAM by hand, and over stages beside a loop and torchcam's fusion."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from evaluator.catalog import is_of_images, method
from evaluator.measuring.saliency import low_map
from evaluator.methods import layercam
from evaluator.methods.base import ImageMethod
from tests.agreement import small_bench
from tests.evaluator.methods.image_maps import apart, by_hand, image_method, layers_of, view_of
from tests.evaluator.methods.views import StillView
from tests.networks import NETWORKS, random_images
from tests.reference import Explained, bilinear, min_max
from tests.reference import layercam as slow_of_layer


def slow(seen: Explained, layers: str = "target", gain: str = "2") -> Tensor:
    if layers == "target":
        return slow_of_layer(seen)
    fused = torch.zeros_like(seen.x[0])
    for activation, gradient in layers_of(seen):
        total = torch.zeros_like(activation[0])
        for k in range(len(activation)):
            total += gradient[k].clamp(min=0) * activation[k]
        low = torch.tanh(float(gain) * min_max(total.clamp(min=0)))
        fused = torch.maximum(fused, bilinear(low, *seen.x.shape[1:]))
    return fused


STAGES = "layercam:layers=stages"


@pytest.mark.parametrize("spec", [STAGES, f"{STAGES},gain=1"])
@pytest.mark.parametrize("network", NETWORKS)
def test_stages_agree_with_the_slow_formula(
    network: str, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.evaluator.methods.image_maps.combination", _slow_of)
    assert apart(network, spec) < 1e-5


def _slow_of(spec: str, seen: Explained) -> Tensor:
    """``tests.reference`` has the form of one layer."""
    return slow(seen, **dict(one.split("=") for one in spec.partition(":")[2].split(",")))


@pytest.mark.parametrize("network", NETWORKS)
def test_stages_are_fused_as_torchcam_does(network: str) -> None:
    from torchcam.methods import LayerCAM

    view = view_of(small_bench(network), random_images(3, seed=1))
    maps = [
        low_map((gradient.relu() * activation).sum(1)).values
        for activation, gradient in view.image.layers().values()
    ]
    assert len(maps) > 1
    expected = LayerCAM.fuse_cams(maps, target_shape=(32, 32))
    assert (image_method(STAGES).combine(view) - expected).abs().max() < 1e-6


def test_by_hand() -> None:
    """One channel: A = (1, 3), g = (2, −1); each place by its own g, where that is positive."""
    view = StillView(torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[2.0, -1.0]]]]))
    assert view.combine("layercam").tolist() == [[[2.0, 0.0]]]


def test_stages_by_hand() -> None:
    """The linear network's one layer is the image: ``relu(w) x``, scaled, and ``tanh`` of it."""
    pixels = torch.eye(4)
    expected = torch.diag(torch.tensor([1.0, 0.0, 0.0, 1.0])).tanh()
    assert (by_hand(f"{STAGES},gain=1", pixels) - expected).abs().max() < 1e-6


def test_stages_are_an_image_method_and_one_layer_is_none() -> None:
    plain, stages = method("layercam"), method(STAGES)
    assert not isinstance(plain, ImageMethod)
    assert isinstance(stages, ImageMethod)
    assert isinstance(stages, layercam.LayerCAM)
    assert (plain.name, stages.name) == ("layercam", STAGES)
    assert (plain.forwards(9, True), stages.forwards(9, True)) == (1, 7)
    assert plain != stages == copy.deepcopy(stages)
    assert not is_of_images("layercam")
    assert is_of_images(STAGES)

"""Deletion and insertion from stored maps: against the slow loop, exactly where sums are exact;
what is never recomputed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from evaluator.measuring.curve_tracing import (
    CurveTracer,
    blurred,
    curve_area,
    curve_bytes,
    rise_kernel,
)
from evaluator.measuring.saliency import MapOfImage, upsample
from evaluator.networks.network import Observation
from evaluator.records import StoredMap
from tests.agreement import evaluated, small_bench
from tests.evaluator.methods.views import pixels
from tests.networks import (
    CLASSES,
    NETWORKS,
    SIDE,
    Bench,
    bench,
    gap_network,
    random_images,
    vgg_like_network,
)
from tests.reference import fake_map, reference_area, reference_curves

STEPS = 16
CURVES = ("deletion", "insertion")


def stored(made: Bench, images: Tensor, spec: str) -> list[MapOfImage]:
    """The maps that one method left behind."""
    scores = evaluated(made, images, spec)
    known = zip(scores.target, scores.y, scores.o, scores.maps, strict=True)
    return [MapOfImage(place, spec, StoredMap(*one)) for place, one in enumerate(known)]


def traced(
    made: Bench, images: Tensor, maps: Sequence[MapOfImage], start: str = "zero"
) -> dict[str, list[list[float]]]:
    """Both curves of every map."""
    return CurveTracer(made.network, steps=STEPS, insertion_start=start).trace(images, maps, CURVES)


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
@pytest.mark.parametrize("insertion_start", ["zero", "blur", "blur-torchvision"])
def test_curves_agree_with_the_slow_loop(network: str, insertion_start: str) -> None:
    made, images = small_bench(network), random_images(3, seed=7)
    specs = ("gradcampp", "scorecam", "fakecam")
    maps = [known for spec in specs for known in stored(made, images, spec)]
    found = traced(made, images, maps, insertion_start)
    model = NETWORKS[network]().requires_grad_(False)
    for place, (image, _, known) in enumerate(maps):
        slow = reference_curves(
            model,
            images[image],
            saliency(known),
            known.target,
            steps=STEPS,
            insertion_start=insertion_start,
        )
        for metric in CURVES:
            assert found[metric][place] == pytest.approx(slow[metric], abs=2e-6)
            assert curve_area(found[metric][place]) == pytest.approx(
                reference_area(slow[metric]), abs=2e-6
            )
    assert found["deletion"][0] != found["insertion"][0]


def test_the_kernel_is_that_of_rise() -> None:
    """A single 1 through scipy's Gaussian filter, as RISE makes it."""
    delta = np.zeros((11, 11))
    delta[5, 5] = 1
    assert np.abs(np.outer(rise_kernel(), rise_kernel()) - gaussian_filter(delta, 5)).max() < 1e-15
    point = torch.zeros(1, 1, 23, 23)
    point[0, 0, 11, 11] = 1
    impulse = blurred(point, "blur")[0, 0]
    assert torch.allclose(impulse[6:17, 6:17].double(), torch.from_numpy(gaussian_filter(delta, 5)))
    assert float(impulse.sum()) == pytest.approx(1, abs=1e-6)


def test_beyond_the_border_rise_sees_zeros_and_torchvision_the_image() -> None:
    ones = torch.ones(1, 3, 32, 40)
    rise, mirrored = blurred(ones, "blur"), blurred(ones, "blur-torchvision")
    assert torch.allclose(mirrored, ones, atol=1e-6)
    assert torch.allclose(rise[..., 5:-5, 5:-5], ones[..., 5:-5, 5:-5], atol=1e-6)
    edge = sum(rise_kernel()[5:])
    assert float(rise[0, 2, 0, 20]) == pytest.approx(edge, abs=1e-6)
    assert float(rise[0, 0, 0, 0]) == pytest.approx(edge**2, abs=1e-6)


def saliency(known: StoredMap) -> Tensor:
    """``U`` in float64: which of two nearly equal pixels goes first depends on the last bit."""
    if known.values is None:
        return fake_map(SIDE, SIDE)
    return upsample(pixels(known.values).view(1, 8, 8).double(), SIDE, SIDE)[0]


class ExactNetwork(nn.Module):
    """Sums of small integers: every order of addition gives the same float, so that curves can be
    compared bit by bit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        self.head = nn.Linear(3 * SIDE * SIDE, CLASSES, bias=False)
        generator = torch.Generator().manual_seed(0)
        self.features.weight.data.copy_(torch.eye(3)[:, :, None, None])
        self.head.weight.data.copy_(
            torch.randint(-4, 5, self.head.weight.shape, generator=generator) / 1024
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.flatten(self.features(images), 1))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


@pytest.mark.parametrize("kind", ["random", "fake", "zero", "tied"])
def test_curves_are_exactly_the_slow_loop_where_sums_are_exact(kind: str) -> None:
    """Ties by index: Fake-CAM's map and a zero map are all ties, and their curves are defined by
    that order.
    """
    made = bench(ExactNetwork(), batch_size=5)
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(-2, 3, (3, SIDE, SIDE), generator=generator).float()
    low = {
        "random": torch.rand(SIDE, SIDE, generator=generator),
        "tied": torch.randint(0, 4, (SIDE, SIDE), generator=generator) / 3,
        "zero": torch.zeros(SIDE, SIDE),
        "fake": fake_map(SIDE, SIDE).float(),
    }[kind]
    y = float(made.network.observe(1, lambda *_: image[None]).logits[0].double().softmax(0)[2])
    known = StoredMap(2, y, 0.0, None if kind == "fake" else low.numpy().astype("<f4").tobytes())
    spec = "fakecam" if kind == "fake" else "gradcam"
    found = traced(made, image[None], [MapOfImage(0, spec, known)])
    slow = reference_curves(ExactNetwork().requires_grad_(False), image, low, 2, steps=STEPS)
    assert len(found["deletion"][0]) == STEPS + 1
    for metric in CURVES:
        assert found[metric][0][1:-1] == pytest.approx(slow[metric][1:-1], abs=1e-14)
        assert found[metric][0] == pytest.approx(
            slow[metric], abs=1e-8
        )  # the zero image's confidence is kept in float32


def test_known_ends_are_not_recomputed() -> None:
    made, images = bench(gap_network()), random_images(2, seed=8)
    maps = stored(made, images, "gradcam")
    before = made.network.forwards
    found = traced(made, images, maps)
    assert made.network.forwards - before == 2 * 2 * (STEPS - 1) + 1, "and the zero image once"
    assert [curve[0] for curve in found["deletion"]] == [known.stored.y for known in maps]
    assert [curve[-1] for curve in found["insertion"]] == [known.stored.y for known in maps]


def test_equal_maps_share_their_curves() -> None:
    made, images = bench(gap_network()), random_images(1, seed=8)
    (known,) = stored(made, images, "gradcam")
    made.network.baseline_confidence()
    before = made.network.forwards
    found = traced(made, images, [known, known._replace(method="cam")])
    assert made.network.forwards - before == 2 * (STEPS - 1)
    assert found["deletion"][0] == found["deletion"][1]


def test_curves_do_not_depend_on_the_batch() -> None:
    images = random_images(3, seed=9)
    maps = stored(small_bench("vgg-like"), images, "layercam")
    expected = traced(small_bench("vgg-like"), images, maps, "blur")
    found = traced(bench(vgg_like_network(), 7), images, maps, "blur")
    for metric in CURVES:
        assert np.abs(np.array(found[metric]) - np.array(expected[metric])).max() < 1e-6


@pytest.mark.parametrize("size", [1, 4, 7, 11, 40, 64])
def test_batches_may_end_within_a_curve(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """15 inner steps of each of six maps: batches of these sizes begin and end anywhere in them."""
    images = random_images(2, seed=5)
    maps = [
        known
        for spec in ("gradcam", "gradcampp", "layercam")
        for known in stored(bench(vgg_like_network()), images, spec)
    ]
    network = (made := bench(vgg_like_network(), batch_size=size)).network
    batches, forward = list[int](), network.forward

    def counted(frames: Tensor, *, channel_scoring: bool) -> Observation:
        batches.append(len(frames))
        return forward(frames, channel_scoring=channel_scoring)

    monkeypatch.setattr(network, "forward", counted)
    found = traced(made, images, maps)
    assert max(batches) <= size, "no frame is made that was not asked for"
    assert sum(batches) == network.forwards == 2 * 6 * (STEPS - 1) + 1
    whole = traced(bench(vgg_like_network(), batch_size=1000), images, maps)
    for metric in CURVES:
        for one, other in zip(found[metric], whole[metric], strict=True):
            assert one == pytest.approx(other, abs=1e-6)


def test_a_curve_as_stored() -> None:
    assert curve_area([1.0, 0.5, 0.0]) == 0.5
    assert curve_area([1.0, 0.0, 0.0, 0.0]) == pytest.approx(1 / 6)
    assert np.frombuffer(curve_bytes([1.0, 0.25, 0.0]), "<f2").tolist() == [1.0, 0.25, 0.0]

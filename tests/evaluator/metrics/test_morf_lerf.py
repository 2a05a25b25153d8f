"""MoRF–LeRF: what the network is shown by hand, a slow loop, and insertion less deletion."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from evaluator.measuring.curve_tracing import CurveTracer, curve_area
from evaluator.measuring.optional_metrics import measured
from evaluator.measuring.saliency import MapOfImage, Saliency
from evaluator.metrics.base import Explained, Versions
from evaluator.metrics.morf_lerf import measure
from evaluator.plan import RunPlan
from tests.agreement import probed, small_bench, stored
from tests.localisation import Unasked
from tests.networks import NETWORKS, SIDE, random_images
from tests.reference import bilinear, reference_area, reference_curves


@dataclass
class Bright(Unasked):
    """A network whose confidence is the mean pixel."""

    image: Tensor

    @property
    def images(self) -> Tensor:
        return self.image[None]

    def confidence(self, versions: Versions, count: int) -> Tensor:
        return versions(0, 0, count).mean((1, 2, 3))[None].double()

    def baseline_confidence(self) -> Tensor:
        return torch.zeros(1, dtype=torch.float64)


def test_by_hand() -> None:
    """The least salient pixels go first: 1, then 3; 4, 3, 2, 0 quarters are left of the image."""
    image = torch.tensor([[[2.0, 1.0], [1.0, 0.0]]])
    u = torch.tensor([[[0.9, 0.3], [0.5, 0.1]]])
    clean = torch.tensor([1.0], dtype=torch.float64)
    explained = Explained(
        clean,
        clean,
        Saliency(u, 2, 2),
        {"deletion": torch.tensor([0.25], dtype=torch.float64)},
        probe=Bright(image),
        settings=RunPlan("", (), (), curve_steps=4),
    )
    points = [4 / 4, 4 / 4, 3 / 4, 2 / 4, 0.0]
    assert measure(explained).tolist() == pytest.approx([reference_area(points) - 0.25])


def values(network: str, images: Tensor, steps: int) -> tuple[list[float], list[MapOfImage]]:
    """The metric, and the maps with their deletion."""
    made = small_bench(network)
    tracer = CurveTracer(made.network, steps=steps, insertion_start="zero")
    maps = stored(made, images, "gradcam")
    traced = tracer.trace(images, maps, ["deletion", "insertion"])
    known = [
        one._replace(
            stored=one.stored._replace(
                measured=tuple((key, curve_area(traced[key][place])) for key in traced)
            )
        )
        for place, one in enumerate(maps)
    ]
    made.network.baseline_confidence()
    before = made.network.forwards
    settings = RunPlan("", (), (), curve_steps=steps)
    found = measured(
        "morf_lerf", known, made.network, settings=settings, probed=probed(made, images)
    )
    assert made.network.forwards - before == len(images) * (steps - 1)
    return found, known


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_as_a_loop_over_pixels_has_it(network: str) -> None:
    images = random_images(2, seed=3)
    found, maps = values(network, images, 8)
    model = NETWORKS[network]().double()
    for place, one in enumerate(maps):
        low = torch.frombuffer(bytearray(one.stored.values or b""), dtype=torch.float32)
        u = bilinear(low.view(8, 8).double(), SIDE, SIDE)
        image, target = images[place].double(), one.stored.target
        most = reference_curves(model, image, u, target, steps=8)["deletion"]
        flat, seen, least = u.flatten().tolist(), image.clone(), []
        order = sorted(range(len(flat)), key=lambda index: (-flat[index], index))
        for step in range(9):
            for index in order[len(order) - step * len(order) // 8 :]:
                row, column = divmod(index, SIDE)
                seen[:, row, column] = 0
            with torch.no_grad():
                least.append(float(model(seen[None])[0].softmax(0)[target]))
        expected = reference_area(least) - reference_area(most)
        assert found[place] == pytest.approx(expected, abs=2e-3)  # ties within rounding
        assert abs(expected) > 0.005


@pytest.mark.parametrize(("steps", "equal"), [(8, True), (7, False)])
def test_insertion_less_deletion_where_the_steps_divide_the_pixels(steps: int, equal: bool) -> None:
    found, maps = values("gap", random_images(3, seed=4), steps)
    known = [dict(one.stored.measured) for one in maps]
    apart = [
        abs(value - (one["insertion"] - one["deletion"]))
        for value, one in zip(found, known, strict=True)
    ]
    assert max(apart) < 1e-6 if equal else 1e-6 < max(apart) < 0.01

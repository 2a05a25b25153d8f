"""SaCo: pairs by hand, and the paper's loop through a whole network in float64."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from evaluator.measuring.optional_metrics import MapProbe
from evaluator.measuring.saliency import Saliency
from evaluator.metrics.base import Explained, Versions
from evaluator.metrics.saco import GROUPS, METRIC, measure
from tests.agreement import probed, small_bench, stored
from tests.localisation import Unasked, random_case
from tests.networks import NETWORKS, SIDE, random_images


@dataclass
class Answering(Unasked):
    """A network with these confidences without each group, ``[B, 10]``; keeps what it is shown."""

    left: list[list[float]]
    shown: Tensor | None = None

    @property
    def images(self) -> Tensor:
        return torch.arange(60.0).view(1, 3, 2, 10).expand(len(self.left), -1, -1, -1)

    def confidence(self, versions: Versions, count: int) -> Tensor:
        assert count == GROUPS
        self.shown = torch.cat([versions(0, 0, 4), versions(0, 4, 10)])
        return torch.tensor(self.left, dtype=torch.float64)


def saco(maps: Tensor, probe: Answering) -> list[float]:
    clean = torch.full((len(probe.left),), 0.9, dtype=torch.float64)
    values: list[float] = measure(
        Explained(clean, clean, Saliency(maps, 2, 10), probe=probe)
    ).tolist()
    return values


DESCENDING = torch.arange(20, 0, -1).view(1, 2, 10) / 20
"""Groups of two pixels, whose mean saliency falls by 0.1 from group to group."""


def test_in_order_and_the_other_way_round() -> None:
    rising = [place / 10 for place in range(10)]
    assert saco(DESCENDING, Answering([rising, rising[::-1], [0.5] * 10])) == [1.0, -1.0, 1.0]


def test_one_pair_out_of_order_by_hand() -> None:
    """The first two groups have changed places: a pair that is 0.1 apart, of Σ (10 − d)·d/10."""
    total = sum((10 - apart) * apart / 10 for apart in range(1, 10))
    left = [0.1, 0.0, *(place / 10 for place in range(2, 10))]
    assert saco(DESCENDING, Answering([left])) == pytest.approx([(total - 2 * 0.1) / total])


def test_each_group_alone_becomes_the_mean_colour() -> None:
    probe = Answering([[0.0] * 10])
    saco(DESCENDING, probe)
    shown, image = probe.shown, probe.images[0]
    assert shown is not None
    for group in range(GROUPS):
        changed = (shown[group] != image).any(0).flatten().nonzero()[:, 0].tolist()
        assert changed == [2 * group, 2 * group + 1]
        assert shown[group, :, 0, 0].tolist() == (
            [9.5, 29.5, 49.5] if group == 0 else [0.0, 20.0, 40.0]
        )


def test_a_constant_map_orders_nothing() -> None:
    assert saco(torch.full((1, 2, 10), 0.3), Answering([[0.1 * n for n in range(10)]])) == [0.0]
    uneven = Explained(
        torch.ones(1),
        torch.ones(1),
        Saliency(torch.full((1, SIDE, SIDE), 0.3), SIDE, SIDE),
        probe=MapProbe(
            probed(small_bench("gap"), random_images(1)),
            stored(small_bench("gap"), random_images(1), "fakecam"),
        ),
    )
    assert measure(uneven).tolist() == [0.0], "1024 pixels are no multiple of ten"


@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_as_the_paper_s_loop_has_it(network: str) -> None:
    made, images = small_bench(network), random_images(3, seed=2)
    rows = stored(made, images, "gradcam")
    maps, _ = random_case(3, SIDE, seed=8)
    clean = torch.tensor([one.stored.y for one in rows], dtype=torch.float64)
    probe = MapProbe(probed(made, images), rows)
    before = made.network.forwards
    found = measure(Explained(clean, clean, Saliency(maps, SIDE, SIDE), probe=probe)).tolist()
    assert made.network.forwards - before == 3 * METRIC.altered == 30
    model = NETWORKS[network]().double()
    expected = [
        slow(model, image.double(), u.double(), one.stored.target)
        for image, u, one in zip(images, maps, rows, strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-6)
    assert len(set(found)) == 3
    assert all(-1 < value < 1 for value in found)


def slow(model: torch.nn.Module, image: Tensor, saliency: Tensor, target: int) -> float:
    """Wu et al., algorithm 1."""

    def probability(seen: Tensor) -> float:
        with torch.no_grad():
            return float(model(seen[None])[0].softmax(0)[target])

    pixels = saliency.flatten().tolist()
    order = sorted(range(len(pixels)), key=lambda index: -pixels[index])
    groups = [
        [index for rank, index in enumerate(order) if rank * GROUPS // len(order) == group]
        for group in range(GROUPS)
    ]
    assert {len(group) for group in groups} == {102, 103}
    influence, mean = [], []
    for group in groups:
        seen = image.clone()
        for index in group:
            row, column = divmod(index, image.shape[2])
            seen[:, row, column] = image.mean((1, 2))
        influence.append(probability(image) - probability(seen))
        mean.append(sum(pixels[index] for index in group) / len(group))
    coefficient = total = 0.0
    for i in range(GROUPS - 1):
        for j in range(i + 1, GROUPS):
            weight = mean[i] - mean[j] if influence[i] >= influence[j] else -(mean[i] - mean[j])
            coefficient += weight
            total += abs(weight)
    return coefficient / total

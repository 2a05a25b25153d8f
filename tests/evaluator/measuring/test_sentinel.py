"""The sentinel: answers that change while a run goes on are found, at little cost; others pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from evaluator.backbones import parse_backbone
from evaluator.catalog import method
from evaluator.errors import UnstableAnswer
from evaluator.images import planned_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.measuring.session import EVERY, FORWARDS, EvaluationSession, Sentinel
from evaluator.networks.network import Network
from evaluator.plan import RunPlan, validated
from evaluator.records import ImageRef, Row, Unit
from evaluator.references import as_reference
from evaluator.user_code import sources_of
from tests.networks import GapNetwork, as_backbone, gap_network, random_images


class Drifting(GapNetwork):
    """From some forward on its answers move, or those of large batches are others."""

    def __init__(self, after: int = 10**9, largest: int = 10**9) -> None:
        super().__init__()
        self.forwards, self.after, self.largest = 0, after, largest

    def forward(self, images: Tensor) -> Tensor:
        self.forwards += 1
        late = max(0, self.forwards - self.after)
        scale = 3.0 if len(images) > self.largest else 1.0 + 0.01 * late
        answer: Tensor = super().forward(images) * scale
        return answer


def drifting(**options: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Drifting(**options)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data *= 2
    backbone = as_backbone(model.eval(), kind="hooks")
    return Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=16)


def evaluate(network: Network, sentinel: Sentinel, units: int, size: int = 12) -> None:
    """Units of images, their rows, and the check behind each."""
    pipeline = Pipeline(network)
    for unit in range(units):
        images = random_images(size, seed=unit)
        refs = [ImageRef(unit * size + n, b"%d" % n, 1, None) for n in range(size)]
        scores = pipeline.rows(Batch(images, [b""] * size), [method("gradcam")])["gradcam"]
        rows = [
            Row(0, ref.id, scores.target[n], 0, scores.y[n], 0, 0, 0, 0, 0, 0, False, None)
            for n, ref in enumerate(refs)
        ]
        sentinel.check(refs, images, rows)


def test_a_network_with_one_answer_passes_at_a_two_hundredth_of_the_forwards() -> None:
    network = Network(
        as_backbone(gap_network()), device=torch.device("cpu"), precision="fp32", batch_size=16
    )
    sentinel = Sentinel(network)
    evaluate(network, sentinel, units=100)
    assert network.forwards == 100 * 2 * 12, "the checks are not counted among the units'"
    assert FORWARDS * 4 <= sentinel.forwards <= 0.005 * network.forwards


@pytest.mark.parametrize("precision", ["mixed", "bf16"])
def test_rounding_in_bfloat16_passes(precision: str) -> None:
    network = Network(
        as_backbone(gap_network()),
        device=torch.device("cpu"),
        precision=precision,  # type: ignore[arg-type]  # one of them
        batch_size=16,
    )
    evaluate(network, Sentinel(network), units=40)


def test_an_answer_that_moves_while_it_runs_is_found() -> None:
    network = drifting(after=30)
    with pytest.raises(UnstableAnswer, match="while it ran, the network answers differently each"):
        evaluate(network, Sentinel(network), units=2 * EVERY // 24 + 40)


def test_an_answer_that_depends_on_the_size_of_a_batch_is_found_after_the_first_unit() -> None:
    network = drifting(largest=8)
    with pytest.raises(
        UnstableAnswer, match="while it ran, an image's answer depends on"
    ) as caught:
        evaluate(network, Sentinel(network), units=1)
    assert caught.value.exit_code == 4


LARGE = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 5)

    def forward(self, images):
        logits = self.fc(self.conv(images).relu().mean((2, 3)))
        return logits * (30.0 if len(images) > 4 else 1.0)


def build():
    return Net(), {"side": 32}
"""


def test_a_session_refuses_the_unit_and_every_later_one(tmp_path: Path) -> None:
    file, root = tmp_path / "large.py", tmp_path / "images"
    file.write_text(LARGE)
    root.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number}.png")
    plan = validated(RunPlan(str(root), (parse_backbone(f"{file}:build"),), ("gradcam",)))
    images = planned_images(plan).images
    reference = as_reference(plan.backbones[0].key)
    session = EvaluationSession(
        SessionSettings(
            plan,
            str(root),
            batch_size=8,
            pictures=images,
            allowed={reference.text: sources_of(reference).sha256},
        )
    )
    try:
        session.load(0)
        unit = Unit(1, 1, 0, (1,), ("gradcam",), images)
        for _ in range(2):
            with pytest.raises(UnstableAnswer, match="depends on the images beside it"):
                session.evaluate(unit)
        with pytest.raises(UnstableAnswer):
            session.evaluate(replace(unit, images=images[:2]))
    finally:
        session.close()

"""Random-CAM: the weights of an image are its own wherever, whenever and with whomever it is
evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.measuring.pipeline import Batch
from tests.agreement import keys_of, small_bench
from tests.evaluator.methods.views import clean_view
from tests.networks import random_images

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained) -> Tensor:
    activation, _, _ = seen.passed(seen.x)
    weights = seen.noise.uniform("randomcam", len(activation), seen.masked)
    total = seen.zeros
    for k in range(len(activation)):
        total += weights[k] * activation[k]
    return total


def test_an_image_alone_has_the_row_that_it_has_in_a_batch() -> None:
    made, images, keys = small_bench("gap"), random_images(3, seed=2), keys_of(3)
    random = method("randomcam")
    together = made.pipeline.rows(Batch(images, keys), [random])["randomcam"]
    for place in (2, 0):
        alone = made.pipeline.rows(
            Batch(images[[place]], [keys[place]]), [method("gradcam"), random]
        )["randomcam"]
        assert alone.adcc[0] == pytest.approx(together.adcc[place], abs=1e-6)
    other = made.pipeline.rows(Batch(images, [b"1" + key for key in keys]), [random])["randomcam"]
    assert (
        max(abs((a or 0) - (b or 0)) for a, b in zip(other.adcc, together.adcc, strict=True)) > 1e-3
    )


def test_weights_fill_the_interval_and_differ_between_images_and_passes() -> None:
    view = clean_view("gap")
    weights = view.uniform("randomcam", 1000)
    assert weights.abs().max() <= 1
    assert weights.mean().abs() < 0.05
    assert weights.std() == pytest.approx(3**-0.5, abs=0.02)
    assert len({tuple(row.tolist()) for row in weights}) == len(weights)
    assert torch.equal(weights, view.uniform("randomcam", 1000))
    assert not torch.equal(weights, view.uniform("another", 1000))

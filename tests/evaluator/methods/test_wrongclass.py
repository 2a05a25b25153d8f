"""Wrong class: the map of another class, whose confidences are those of the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from evaluator.catalog import method
from evaluator.errors import UsageError
from tests.agreement import evaluated, small_bench
from tests.evaluator.methods.views import pixels
from tests.networks import CLASSES, random_images
from tests.reference import combination

if TYPE_CHECKING:
    from tests.reference import Explained


def slow(seen: Explained, of: str = "gradcam") -> Tensor:
    _, _, logits = seen.passed(seen.x)
    return combination(of, seen._replace(c=(seen.c + len(logits) // 2) % len(logits)))


def test_the_map_is_of_the_other_class_and_the_confidence_of_the_target() -> None:
    images, targets = random_images(3, seed=4), torch.tensor([0, 3, 7])
    bench = small_bench("vgg-like")
    wrong = evaluated(bench, images, "wrongclass", targets)
    other = evaluated(bench, images, "gradcam", (targets + 5) % CLASSES)
    right = evaluated(bench, images, "gradcam", targets)
    for place in range(3):
        assert pixels(wrong.maps[place]).equal(pixels(other.maps[place]))
        assert not pixels(wrong.maps[place]).equal(pixels(right.maps[place]))
    assert wrong.target == right.target == targets.tolist()
    assert wrong.y == right.y


def test_its_cost_is_that_of_the_method_and_its_twins_are_the_method_s() -> None:
    assert method("wrongclass:of=scorecam").forwards(64, True) == method("scorecam").forwards(
        64, True
    )
    assert method("wrongclass:of=xgradcam").map_identity(True) == method(
        "wrongclass:of=gradcam"
    ).map_identity(True)
    assert method("wrongclass:of=xgradcam").map_identity(False) != method(
        "wrongclass:of=gradcam"
    ).map_identity(False)


def test_of_a_method_that_does_not_depend_on_the_class_it_is_refused() -> None:
    with pytest.raises(UsageError, match="wrongclass:of takes"):
        method("wrongclass:of=eigencam")

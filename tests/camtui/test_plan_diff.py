"""Clauses on the changes of a stored run by a request, and none where it only goes on."""

from __future__ import annotations

from typing import Any

import pytest

from camtui.planning import plan_diff
from evaluator.errors import Mismatch
from evaluator.plan import RunPlan, validated_plan


def plan(**changes: Any) -> RunPlan:
    return validated_plan(
        {"data": "/data", "backbones": ["resnet18"], "methods": ["gradcam"], **changes}
    )


@pytest.mark.parametrize(
    ("stored", "asked", "clauses"),
    [
        ({}, {}, []),
        ({"limit": 8}, {"limit": 8}, []),
        ({"methods": ["gradcam", "fakecam"]}, {}, []),
        ({"limit": 8}, {}, ["all images instead of the first 8, for every method it has"]),
        (
            {"limit": 8},
            {"limit": 16},
            ["the first 16 instead of the first 8, for every method it has"],
        ),
        (
            {"limit": 8},
            {"limit": 4},
            ["it keeps the first 8, a run does not shrink: another --name for 4"],
        ),
        ({}, {"limit": 4}, ["it keeps all images, a run does not shrink: another --name for 4"]),
        ({}, {"methods": ["layercam", "gradcampp"]}, ["new methods layercam, gradcampp"]),
        (
            {},
            {"backbones": ["vgg16"], "metrics": ["deletion"]},
            ["new backbone vgg16", "new metric deletion"],
        ),
    ],
)
def test_clauses(stored: dict[str, Any], asked: dict[str, Any], clauses: list[str]) -> None:
    assert plan_diff(plan(**stored), plan(**asked)) == clauses


def test_another_protocol_is_another_run() -> None:
    with pytest.raises(Mismatch, match="seed: 0 → 1"):
        plan_diff(plan(), plan(seed=1))

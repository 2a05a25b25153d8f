"""``camtui run --dry-run``: the plan, the images and the forwards that it costs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count as numbers
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, NamedTuple

from camtui.cli.console import print_json, print_message
from camtui.format.notes import look_text
from camtui.format.numbers import count, duration
from camtui.planning import missing_weights, plan_diff, weights_notes
from camtui.runs import list_runs
from camtui.status import until_record
from evaluator.errors import CamtuiError
from evaluator.execution.looks import Looks
from evaluator.execution.request import RunRequest, StoredRun
from evaluator.execution.schedule import Remaining, remaining_work
from evaluator.images import Manifest, check_target, planned_images
from evaluator.map_files import check_one_each
from evaluator.plan import RunPlan, extended, may_apply
from evaluator.records import Cell, Look
from evaluator.store.reader import RunReader
from evaluator.store.readonly import DAMAGE
from evaluator.text import counted, printable
from evaluator.truth.folder import planned_truth

if TYPE_CHECKING:
    from camtui.payloads import DryRunPayload

_MOST = 30
"""Runs that are looked into, the newest first."""


class StageTiming(NamedTuple):
    """Time of one stage of an earlier run."""

    backbone: str
    methods: frozenset[str]
    metrics: tuple[str, ...]
    seconds: float
    images: int
    forwards: float


def timings(plan: RunPlan, first: Path, *, cuda: bool) -> list[StageTiming]:
    """Return stages timed here with a plan's precision and device, the run's own first."""
    paths = dict.fromkeys([*([first] if os.path.isfile(first) else []), *list_runs()[:_MOST]])
    return [timed for path in paths for timed in _of_run(path, plan, cuda=cuda)]


def _of_run(path: Path, plan: RunPlan, *, cuda: bool) -> Iterator[StageTiming]:
    try:
        with RunReader(path) as reader:
            info = reader.info()
            on_cuda = not info.versions.get("device", "cpu").startswith("cpu")
            if (
                info.host != gethostname()
                or on_cuda != cuda
                or reader.plan().precision != plan.precision
            ):
                return
            methods = {cell.id: cell.method for cell in reader.cells()}
            stages = reader.stages()
    except (CamtuiError, *DAMAGE):
        return  # a file that cannot be read has nothing to say here
    for stage in stages:
        if stage.timed_images and stage.seconds:
            names = frozenset(methods[cell] for cell in stage.cells if cell in methods)
            yield StageTiming(
                stage.backbone,
                names,
                stage.metrics,
                stage.seconds,
                stage.timed_images,
                stage.timed_images * stage.forwards_per_image,
            )


def expected_seconds(work: Sequence[Remaining], known: Sequence[StageTiming]) -> float | None:
    """Return worker seconds of the work left; ``None`` where a backbone was never timed here."""
    prices = [_timed_seconds(one, known) for one in work if one.images]
    if any(price is None for price in prices):
        return None
    return sum(filter(None, prices))


def _timed_seconds(one: Remaining, known: Iterable[StageTiming]) -> float | None:
    stage = one.stage
    of_backbone = [timed for timed in known if timed.backbone == stage.backbone_name]
    for timed in of_backbone:
        if timed.methods == frozenset(stage.methods) and timed.metrics == stage.metrics:
            whole = stage.forwards_per_image * one.images
            share = one.forwards / whole if whole else 1.0  # some cells may be further than others
            return share * one.images * timed.seconds / timed.images
    forwards = sum(timed.forwards for timed in of_backbone)
    return (
        one.forwards * sum(timed.seconds for timed in of_backbone) / forwards if forwards else None
    )


def nothing_left(request: RunRequest, stored: StoredRun) -> bool:
    """Return whether a run that is complete has all that is asked for.

    Raises:
        CamtuiError: what is asked for contradicts it.
    """
    from evaluator.execution.driver import adds_nothing

    if request.settings.on_finish or not adds_nothing(request, stored):
        return False
    plan, images = stored.plan, stored.info.image_count
    look = _forecast(request, plan, plan, images)
    return not any(one.images for one in _work(request, plan, plan, images, look))


def print_dry_run(request: RunRequest, stored: StoredRun | None, *, as_json: bool) -> None:
    """Print what the run would do; ``stored``: the run that is there already.

    Raises:
        Mismatch: that one has another protocol.
        UsageError: the data or the plan admit no run.
    """
    asked = request.plan
    assert asked is not None
    before = stored.plan if stored else None
    plan = extended(before, asked) if before else asked
    manifest = planned_images(plan, stored.listing if stored else None)
    check_target(plan, manifest)
    check_one_each(
        (code.reference for code in asked.code),
        [one.path for one in manifest.images],
        stored.images_by_code if stored else {},
    )
    look = _forecast(request, plan, before, len(manifest.images))
    work = _work(request, plan, before, len(manifest.images), look)
    known = _known_timings(request, plan)
    workers = len(request.settings.devices)
    seconds = _seconds(work, known, workers)
    absent = missing_weights(plan, stored)
    if as_json:
        _print_json(request, plan, manifest, work, look, seconds, absent)
        return
    print(f"run       {request.name} ({printable(request.db)})")
    if before:
        print(f"is there  {'; '.join(plan_diff(before, asked)) or 'it goes on'}")
    print(
        f"data      {printable(plan.data)}: {count(len(manifest.images))} of "
        f"{count(manifest.total)} images"
    )
    print(f"networks  {', '.join(spec.name for spec in plan.backbones)}")
    print(f"methods   {', '.join(plan.methods)}")
    print(f"metrics   {', '.join(plan.metrics)}")
    if truths := planned_truth(plan):
        print(
            f"truth     {printable(plan.truth)}: of {count(truths.having(manifest.images))} images"
        )
    if plan.target == "label" or plan.labels:
        print(f"labels    {_labels(plan, manifest)}")
    print(f"devices   {', '.join(request.settings.devices)}, {plan.precision}")
    for line in weights_notes(asked):
        print(f"weights   {line}")
    if absent:
        print(f"weights   not on this machine, to be fetched first: {', '.join(absent)}")
    if look is not None:
        print(f"until     {look_text(look, len(manifest.images))}{_unknown(plan, before)}")
    for one in work:
        print(
            f"stage {one.stage.id:<3} {one.stage.title}: {one.stage.forwards_per_image:,.0f} "
            f"passes an image, {_to_do(one)}"
        )
    if len(plan.backbones) > 1:
        for name in dict.fromkeys(one.stage.backbone_name for one in work):
            of_it = [one for one in work if one.stage.backbone_name == name]
            price = _seconds(of_it, known, workers)
            print(
                f"network   {name}: {count(_forwards(of_it))} passes"
                f"{f', about {duration(price)}' if price is not None else ''}"
            )
    print(f"passes    {count(_forwards(work))}")
    print(f"time      {_time(seconds, workers)}")
    for line in manifest.remark_lines():
        print_message(line)
    print_message("nothing was started (--dry-run)")


def _print_json(
    request: RunRequest,
    plan: RunPlan,
    manifest: Manifest,
    work: Sequence[Remaining],
    look: Look | None,
    seconds: float | None,
    absent: list[str],
) -> None:
    payload: DryRunPayload = {
        "run": request.name,
        "db": os.fsdecode(request.db),
        "plan": plan.to_dict(),
        "images": len(manifest.images),
        "devices": list(request.settings.devices),
        "forwards": _forwards(work),
        "stages": [
            {
                "title": stage.title,
                "forwards_per_image": stage.forwards_per_image,
                "images_per_unit": stage.block,
                "images_to_do": images,
                "images_to_do_by_method": by_method,
            }
            for stage, images, _, by_method in work
        ],
        "seconds": seconds,
        "weights_to_fetch": absent,
        "until": until_record(look),
    }
    print_json(payload)


def _to_do(one: Remaining) -> str:
    """``250 images to do``; method by method where they are not equally far."""
    if len(set(one.by_method.values())) == 1:
        return f"{count(one.images)} images to do"
    return (
        "images to do: "
        f"{', '.join(f'{method} {count(n)}' for method, n in one.by_method.items() if n)}"
    )


def _known_timings(request: RunRequest, plan: RunPlan) -> list[StageTiming]:
    """Return what was timed on this machine; nothing with Ray, whose nodes are others."""
    settings = request.settings
    if settings.ray is not None:
        return []
    return timings(plan, request.db, cuda=settings.on_cuda)


def _seconds(work: Sequence[Remaining], known: Sequence[StageTiming], workers: int) -> float | None:
    """Return the expected time by what was measured here; ``None`` where nothing was."""
    seconds = expected_seconds(work, known)
    return None if seconds is None else seconds / workers


def _labels(plan: RunPlan, manifest: Manifest) -> str:
    """Return how many labels are known before a network tells its class names."""
    known = sum(image.label is not None for image in manifest.images)
    text = f"{count(known)} of {counted(len(manifest.images), 'image')} by file or ImageNet id"
    if plan.labels or known == len(manifest.images):
        return text
    return f"{text}; folders named like a class count once {plan.backbones[0].name} is loaded"


def _time(seconds: float | None, workers: int) -> str:
    if seconds is None:
        return (
            "not known: nothing was timed here with these networks and this "
            "precision (camtui bench measures a machine)"
        )
    return (
        f"about {duration(seconds)} on {counted(workers, 'worker')}, "
        "by earlier runs on this machine"
    )


def _forwards(work: Sequence[Remaining]) -> int:
    return round(sum(stage.forwards for stage in work))


def _forecast(
    request: RunRequest, plan: RunPlan, stored: RunPlan | None, images: int
) -> Look | None:
    """Return the decision of the plan's rule by the stored rows; ``None`` without a rule."""
    if plan.rule is None:
        return None
    if stored is None:
        return Look(str(plan.rule), 0, None, None, {}, ())
    with RunReader(request.db) as reader:
        known = replace(plan, backbones=stored.backbones)
        return Looks(known, reader, images=images).record()


def _unknown(plan: RunPlan, stored: RunPlan | None) -> str:
    """Return the parts of a plan that are new, and in no forecast yet."""
    if stored is None:
        return ""
    new = [spec.name for spec in plan.backbones if spec not in stored.backbones]
    new += [method for method in plan.methods if method not in stored.methods]
    return f"; {', '.join(map(printable, new))}: not known yet" if new else ""


def _work(
    request: RunRequest, plan: RunPlan, stored: RunPlan | None, images: int, look: Look | None
) -> list[Remaining]:
    cuda = request.settings.on_cuda
    if look is not None and look.needed is not None:
        images = min(images, look.needed)
    if stored is None:
        return remaining_work(plan, _cells(plan, []), {}, {}, images=images, cuda=cuda)
    dropped = look.dropped if look else {}
    with RunReader(request.db) as reader:
        cells = [cell for cell in _cells(plan, reader.cells()) if cell.id not in dropped]
        return remaining_work(
            plan, cells, reader.backbones(), reader.done(), images=images, cuda=cuda
        )


def _cells(plan: RunPlan, stored: Sequence[Cell]) -> list[Cell]:
    """Return the cells of a plan: stored ones, and new ones as the catalog knows the heads."""
    known = {(cell.backbone, cell.method): cell for cell in stored}
    ids = numbers(1 + max((cell.id for cell in stored), default=0))
    pairs = [(spec, method) for spec in plan.backbones for method in plan.methods]
    return [
        known.get((spec.name, method))
        or Cell(next(ids), spec.name, method, may_apply(method, spec), "")
        for spec, method in pairs
    ]

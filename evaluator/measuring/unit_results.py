"""The results of a unit: rows from passes over its images, and curves from stored maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from evaluator.catalog import metric as metric_of
from evaluator.measuring.curve_tracing import CurveTracer, curve_area, curve_bytes
from evaluator.measuring.inputs import Decoded
from evaluator.measuring.method_calls import Fault, is_formula_error, made_method, metric_fault
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.measuring.saliency import MapOfImage
from evaluator.networks.device import to_device
from evaluator.plan import RunPlan
from evaluator.records import Failure, ImageRef, Measurement, Row, Unit


def needs_pixels(unit: Unit) -> bool:
    """Tell whether the images of a unit must be decoded: not where stored rows are enough."""
    return not unit.metrics or any(metric_of(key).pixels for key in unit.metrics)


def unreadable(unit: Unit, decoded: Decoded) -> Iterator[Failure]:
    """Yield the failures of images that cannot be read: each cell, or metric that needs pixels."""
    wanted = [key for key in unit.metrics if metric_of(key).pixels] or [""]
    for image, error in decoded.unreadable.items():
        for cell in unit.cells:
            for metric in wanted:
                yield Failure(cell, image, metric, error.reason, error.message)


def rows_of(
    unit: Unit, refs: Sequence[ImageRef], images: Tensor, pipeline: Pipeline, plan: RunPlan
) -> Iterator[Row | Failure]:
    """Compute a row, or why there is none, for each cell and image.

    Args:
        refs: the unit's images that could be read; ``images``: their pixels, ``[B, 3, H, W]``,
            normalised.
    """
    by_label = plan.target == "label"
    classes = pipeline.class_count if by_label else 0
    known = [
        place
        for place, ref in enumerate(refs)
        if not by_label or (ref.label is not None and ref.label < classes)
    ]
    for place in sorted(set(range(len(refs))) - set(known)):
        for cell in unit.cells:
            yield Failure(
                cell, refs[place].id, "", "no-label", "its label is no class of this network"
            )
    if not known:
        return
    chosen = [refs[place] for place in known]
    targets = (
        to_device(torch.tensor([ref.label for ref in chosen]), images.device) if by_label else None
    )
    keys = noise_keys(plan, chosen)
    seen = (
        images if len(known) == len(refs) else images[to_device(torch.tensor(known), images.device)]
    )
    batch = Batch(seen, keys, targets)
    outcomes = pipeline.outcomes(batch, [made_method(spec) for spec in unit.methods])
    for cell, method in zip(unit.cells, unit.methods, strict=True):
        for place, ref in enumerate(chosen):
            outcome, where = outcomes[method], place
            if isinstance(outcome, Fault) and outcome.by_image and len(chosen) > 1:
                outcome, where = (
                    pipeline.outcomes(batch.alone(place), [made_method(method)])[method],
                    0,
                )
            if isinstance(outcome, Fault):
                yield Failure(cell, ref.id, "", outcome.reason, outcome.detail)
            elif problem := outcome.problem(where):
                yield Failure(cell, ref.id, "", "not-finite", problem)
            else:
                yield outcome.row(cell, ref.id, where)


def noise_keys(plan: RunPlan, refs: Sequence[ImageRef]) -> list[bytes]:
    """Make the noise keys of images: seed and path."""
    return [b"%d\0%s" % (plan.seed, ref.path) for ref in refs]


def curves_of(
    unit: Unit,
    refs: Sequence[ImageRef],
    images: Tensor,
    tracer: CurveTracer,
    keys: Sequence[str] = (),
) -> Iterator[Measurement | Failure]:
    """Trace the curves of the images that could be read, all or those of some metrics.

    A metric whose formula raises fails alone.
    """
    wanted = stored_of(unit, refs)
    keys = keys or [key for key in unit.metrics if metric_of(key).curve]
    try:
        traced = tracer.trace(images, [one for _, _, one in wanted], keys)
    except Exception as error:
        if not is_formula_error(error):
            raise
        if len(keys) == 1:
            fault = metric_fault(keys[0], error)
            yield from (
                Failure(cell, image, keys[0], fault.reason, fault.detail)
                for cell, image, _ in wanted
            )
            return
        for key in keys:
            yield from curves_of(unit, refs, images, tracer, [key])
        return
    for metric, curves in traced.items():
        for (cell, image, _), curve in zip(wanted, curves, strict=True):
            yield Measurement(cell, image, metric, curve_area(curve), curve_bytes(curve))


def stored_of(unit: Unit, refs: Sequence[ImageRef]) -> list[tuple[int, int, MapOfImage]]:
    """List cell, image and stored map of every pair of a unit that has one."""
    found = []
    for place, ref in enumerate(refs):
        for cell, method in zip(unit.cells, unit.methods, strict=True):
            stored = unit.maps.get((cell, ref.id))
            if stored is not None:
                found.append((cell, ref.id, MapOfImage(place, method, stored)))
    return found

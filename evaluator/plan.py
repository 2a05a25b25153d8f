"""The plan of a run: images, backbones, methods, metrics, and the choices of the protocol.

Read from JSON or TOML, stored with the run, hashed for identity; without torch.
Then the checks of what it says, and what a later request adds to it or takes from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from evaluator import catalog
from evaluator.backbones import (
    DEFAULT_WEIGHTS,
    SHORT_SIDE,
    BackboneSpec,
    backbone_of,
    family_of,
    is_backbone_entry,
    known_backbone,
)
from evaluator.errors import Mismatch, NotApplicable, UsageError
from evaluator.methods.base import Method
from evaluator.metrics.base import MetricSettings
from evaluator.records import LoadedBackbone, Precision
from evaluator.references import Axis
from evaluator.stopping_rule import EVERY_IMAGE, Rule, enough_to_look, rule_of
from evaluator.text import did_you_mean, printable
from evaluator.user_code_facts import Code


@dataclass(frozen=True)
class RunPlan:
    """Images × backbones × methods → metrics, and every choice of the protocol.

    Fractions and pixels; see ``docs/protocol.md``.

    Attributes:
        data: absolute path of the data folder; ``demo``: only scikit-image's photographs in it.
        labels: absolute path of a csv of labels, or ``None``.
        limit: how many images of the seeded order, ``None`` for all.
        seed: of the order of the images and of all noise.
        methods: method specs, options included where they differ from the defaults.
        metrics: keys; the five of a row are always there, the others are optional.
        target: the class that is explained: the ``predicted`` one or the ``label``.
        resize: short side in pixels before a crop of 224, 224 for each network's own.
        curve_steps: S, steps of deletion and insertion.
        insertion_start: ``zero``, ``blur`` as RISE blurs, or ``blur-torchvision``.
        code: the methods, metrics and backbones among them that are not camtui's own.
        until: ends the run before its last image: ``ci<=POINTS`` or ``decided``, with ``margin`` in
            points of ADCC.
        drop_decided: methods that are certainly worse are computed no further.
        truth: absolute path of a folder of masks or boxes, or of a COCO file; ``None`` without.
        pointing_margin, road_removal: see ``metrics.base.MetricSettings``.
        road_noise: ``pixels`` or ``normalised``, where the noise of imputed pixels is added, at
            0.01: before the normalisation, or after it as earlier versions did.
    """

    data: str
    backbones: tuple[BackboneSpec, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...] = catalog.ROW_METRICS
    demo: bool = False
    labels: str | None = None
    limit: int | None = None
    seed: int = 0
    target: str = "predicted"
    resize: int = SHORT_SIDE
    precision: Precision = "fp32"
    curve_steps: int = 28
    insertion_start: str = "zero"
    truth: str | None = None
    pointing_margin: int = 15
    road_removal: str = "rank"
    road_noise: str = "pixels"
    until: str | None = None
    margin: float | None = None
    drop_decided: bool = False
    code: tuple[Code, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """The stopping rule, ``None`` where the run takes every image."""
        return rule_of(self.until, self.margin, self.drop_decided)

    @property
    def optional_metrics(self) -> tuple[str, ...]:
        """The optional metrics: those beyond the ones of a row."""
        return tuple(key for key in catalog.optional_metrics() if key in self.metrics)

    @property
    def curves(self) -> tuple[str, ...]:
        """The curves among them."""
        return tuple(key for key in catalog.curve_metrics() if key in self.metrics)

    @property
    def imputes(self) -> bool:
        """Whether one of the metrics shows the network images with imputed pixels."""
        return any(catalog.metric(key).forwards for key in self.optional_metrics)

    @property
    def metric_settings(self) -> MetricSettings:
        """The settings that the formulas of optional metrics take."""
        return MetricSettings(self.pointing_margin, self.road_removal, self.curve_steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON or TOML."""
        return asdict(self)

    def to_json(self) -> str:
        """One line of JSON with sorted keys; equal plans have equal text."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def source_of(self, axis: Axis, key: str) -> str:
        """Hash of the source of a method, metric or backbone; empty for camtui's own."""
        return next((one.sha256 for one in self.code if (one.axis, one.key) == (axis, key)), "")

    @property
    def sha256(self) -> str:
        """Identity of the plan."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @staticmethod
    def from_values(values: dict[str, Any]) -> RunPlan:
        """The plan of ``to_dict``: keys and kinds are checked, values are not.

        ``plan_validation.validated_plan`` checks both.

        Raises:
            UsageError: a key that a plan does not have, or a value of another kind.
        """
        known = {field.name for field in fields(RunPlan)}
        for key in values:
            if key not in known:
                raise UsageError(
                    f"a plan has no '{key}'",
                    f"{did_you_mean(key, known)}known: {', '.join(sorted(known))}",
                )
            if not _is_kind(key, values[key]):
                raise UsageError(
                    f"the plan's {key} cannot be {values[key]!r}",
                    "camtui show RUN --config prints an example",
                )
        for key in ("data", "backbones", "methods"):
            if not values.get(key):
                raise UsageError(
                    f"the plan names no {key}",
                    f"add {key} = …; camtui show RUN --config prints an example",
                )
        code = tuple(Code.from_dict(one) for one in values.get("code", ()))
        for one in code:
            catalog.register(one)
        backbones = tuple(backbone_of(entry) for entry in values["backbones"])
        lists: dict[str, Any] = {
            key: tuple(values[key]) for key in ("methods", "metrics") if key in values
        }
        given: dict[str, Any] = {**values, **lists, "backbones": backbones, "code": code}
        return RunPlan(**given)

    @staticmethod
    def from_json(text: str) -> RunPlan:
        """The plan of ``to_json``, which was validated when it was stored.

        It is not validated again: a run can be read when its weights' file has gone. A plan that
        an earlier version has stored keeps its meaning: ``in_todays_words``.

        Raises:
            ValueError: this is no JSON; UsageError: it is no plan.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("a plan is an object")
        return RunPlan.from_values(in_todays_words(values))


_FORMER_NAME = re.compile(r"(?<![\w.-])smoothgradcampp:variant=paper(?![\w-])")


def todays_names(text: str) -> str:
    """What an earlier version has stored, with the methods in it by the names of today.

    The formula that was called ``smoothgradcampp:variant=paper`` is ``variant=mean-gradient``;
    ``variant=paper`` is the printed one now.
    """
    return _FORMER_NAME.sub("smoothgradcampp:variant=mean-gradient", text)


def in_todays_words(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a stored plan, said in the words of today.

    Earlier versions, whose plans have no ``road_noise``, added ROAD's noise after the
    normalisation, began insertion from torchvision's blur, and called another formula
    ``smoothgradcampp:variant=paper``.
    """
    if "road_noise" in values:
        return values
    renewed = {**values, "road_noise": "normalised"}
    if values.get("insertion_start") == "blur":
        renewed["insertion_start"] = "blur-torchvision"
    methods = values.get("methods")
    if isinstance(methods, list):
        renewed["methods"] = [todays_names(one) if isinstance(one, str) else one for one in methods]
    return renewed


def _is_kind(key: str, value: Any) -> bool:
    """Whether a plan's field can hold a value of this kind; the value itself is checked later."""
    if key in ("demo", "drop_decided"):
        return isinstance(value, bool)
    if key == "code":
        return isinstance(value, list | tuple)
    if key == "margin":
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    if key in ("methods", "metrics"):
        return isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    if key == "backbones":
        return isinstance(value, list | tuple) and all(is_backbone_entry(entry) for entry in value)
    if key in ("limit", "labels", "until", "truth") and value is None:
        return True
    whole = key in ("limit", "seed", "resize", "curve_steps", "pointing_margin")
    return (
        isinstance(value, int) and not isinstance(value, bool) if whole else isinstance(value, str)
    )


def as_loaded(plan: RunPlan, stored: Mapping[str, LoadedBackbone | None]) -> RunPlan:
    """The plan for the workers: networks go on with the preprocessing that their rows were made by.

    That of a network known by name may have been another in an earlier version.

    Args:
        stored: what the run's file knows of its backbones, by name.
    """
    return replace(
        plan,
        backbones=tuple(
            _as_loaded(spec, stored.get(spec.name), plan.resize) for spec in plan.backbones
        ),
    )


def _as_loaded(spec: BackboneSpec, loaded: LoadedBackbone | None, resize: int) -> BackboneSpec:
    known = known_backbone(spec.key)
    if loaded is None or known.earlier is None:
        return spec
    own_weights = spec.weights != DEFAULT_WEIGHTS
    if known.transform_input and loaded.transform_input is None and own_weights:
        spec = replace(spec, transform_input="no")
    if loaded.preprocessing != spec.preprocessing(known.earlier, resize):
        return spec
    return replace(spec, **asdict(loaded.preprocessing))


def cell_identity(plan: RunPlan, spec: BackboneSpec, loaded: LoadedBackbone, method: str) -> str:
    """Hash of everything that makes two cells the same measurement.

    Weights, layer, method with options, preprocessing, target, seed, precision. Options that
    version 1 did not have (other sides, code of the user's by the hash of its source) are added
    only where they are given, so that its cells keep their identity; so is what a network of
    torchvision is shown, where earlier versions showed it something else. A method that has another
    name now (``todays_names``) is hashed by its former one.
    """
    parts: list[object] = [
        loaded.sha256,
        loaded.layer,
        _hashed_name(method),
        plan.resize,
        plan.target,
        plan.seed,
        plan.precision,
    ]
    sources = (
        plan.source_of("method", method.partition(":")[0]),
        plan.source_of("backbone", spec.key) or loaded.source,
    )
    if any(sources):
        parts += sources
    beyond = {name: value for name, value in spec.overrides.items() if name != "classes"}
    known = known_backbone(spec.key)
    usual = known.earlier or known.preprocessing
    if usual is None or spec.preprocessing(usual, plan.resize) != loaded.preprocessing:
        beyond["preprocessing"] = asdict(loaded.preprocessing)
    if loaded.transform_input and spec.weights != DEFAULT_WEIGHTS:
        beyond["transform_input"] = True
    if beyond:
        parts.append(beyond)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _hashed_name(method: str) -> str:
    """The name of a method in the identity of its cells, which no two formulas share."""
    key, _, options = method.partition(":")
    if key == "smoothgradcampp":
        options = options.replace("variant=paper", "variant=printed")
        options = options.replace("variant=mean-gradient", "variant=paper")
        return f"{key}:{options}" if options else key
    return method


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

"""The plan of a run: what is evaluated, by which protocol.

Validated without torch, stored with the run, hashed for identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from evaluator import catalog
from evaluator.backbone_options import check_option, read_class_names, read_option
from evaluator.backbones import family_of, known_backbone, shown_key, split_backbone
from evaluator.described import Code
from evaluator.errors import Mismatch, NotApplicable, UsageError
from evaluator.methods.base import Method
from evaluator.metrics.base import MetricSettings
from evaluator.records import Interpolation, LoadedBackbone, Precision, Preprocessing, Score
from evaluator.references import Axis
from evaluator.text import did_you_mean, printable
from evaluator.until import EVERY_IMAGE, Rule, enough_to_look, rule_of

DEFAULT_WEIGHTS = "default"
SHORT_SIDE = 224
"""Before the crop of a network whose side is as long; ``--resize`` changes it, for other sides in
proportion.
"""

MOST_STEPS = SHORT_SIDE * SHORT_SIDE
"""Of a curve: a step for each pixel of the usual input."""


@dataclass(frozen=True)
class BackboneSpec:
    """One backbone of a plan. What is ``None`` is as the network has it.

    Attributes:
        key: the classifier's name, or a reference to what builds it. weights: ``default`` (those of
        its family), ``random:SEED``, or a file's path. layer: dotted name of the target layer.
        side, resize, interpolation, mean, std, channels: of the preprocessing; one ``mean`` or
        ``std`` is for all channels. score: what turns logits into confidence. tokens: prefix tokens
        before those of the map. classes: file of class names, one a line. cut: ``graph`` or
        ``hooks``, where the evaluator shall not choose.
    """

    key: str
    weights: str = DEFAULT_WEIGHTS
    layer: str | None = None
    side: int | None = None
    resize: int | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: int | None = None
    score: Score | None = None
    tokens: int | None = None
    classes: str | None = None
    cut: str | None = None

    @property
    def shown_key(self) -> str:
        """The key for people: without the folders of a path."""
        return shown_key(self.key)

    @property
    def name(self) -> str:
        """As shown: the key, with what differs from the defaults.

        ``vgg16:layer=features.29,weights=random:0``.
        """
        changed = [f"layer={self.layer}"] if self.layer else []
        if self.weights != DEFAULT_WEIGHTS:
            changed.append(
                f"weights={self.weights if self.weights.startswith('random:') else Path(self.weights).name}"
            )
        changed += [
            f"{name}={_option_text(value)}"
            for name, value in self.overrides.items()
            if name != "classes"
        ]
        return ":".join([self.shown_key, ",".join(changed)]) if changed else self.shown_key

    @property
    def overrides(self) -> dict[str, Any]:
        """What the user has said of the network beyond weights and layer."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)[3:]}
        return {name: value for name, value in chosen.items() if value is not None}

    def preprocessing(self, usual: Preprocessing, resize: int | None = None) -> Preprocessing:
        """The network's preprocessing with what the user has said.

        A side brings its short side before the crop along, in the proportion that the network has.

        Args:
            usual: the network's own. resize: the plan's short side before a crop of 224; what is
            not 224 counts in proportion to the side.

        Raises:
            UsageError: there are not as many means as channels.
        """
        side = self.side or usual.side
        short = usual.resize if resize in (None, SHORT_SIDE) else usual.side * resize / SHORT_SIDE
        channels = self.channels or usual.channels
        return Preprocessing(
            side=side,
            resize=self.resize or max(side, round(short * side / usual.side)),
            interpolation=self.interpolation or usual.interpolation,
            mean=_for_channels(
                "mean", self.mean or usual.mean, channels, given=self.mean is not None
            ),
            std=_for_channels("std", self.std or usual.std, channels, given=self.std is not None),
            channels=channels,
        )

    def class_names(self) -> tuple[str, ...]:
        """The names in the user's file, empty without one.

        Raises:
            UsageError: it cannot be read.
        """
        return read_class_names(self.classes) if self.classes else ()


def _option_text(value: Any) -> str:
    return "/".join(f"{number:g}" for number in value) if isinstance(value, tuple) else str(value)


def _for_channels(
    name: str, values: tuple[float, ...], channels: int, *, given: bool
) -> tuple[float, ...]:
    """One number for each channel; what the network has for colours becomes their mean for a grey image."""
    if len(values) == channels:
        return values
    if len(values) == 1:
        return values * channels
    if not given:
        return (sum(values) / len(values),) * channels
    raise UsageError(
        f"{name} has {len(values)} numbers, and the images have {channels} "
        f"{'channel' if channels == 1 else 'channels'}",
        f"one number, or one for each channel: {name}={'/'.join(['0.5'] * channels)}",
    )


@dataclass(frozen=True)
class RunPlan:
    """Images × backbones × methods → metrics, and every choice of the protocol.

    Fractions and pixels; see ``docs/protocol.md``.

    Attributes:
        data: absolute path of the data folder; ``demo``: only scikit-image's photographs in it.
        labels: absolute path of a csv of labels, or ``None``. limit: how many images of the seeded
        order, ``None`` for all. seed: of the order of the images and of all noise. methods: method
        specs, options included where they differ from the defaults. metrics: keys; the five of a
        row are always there, the others on request. target: which class is explained: the
        ``predicted`` one or the ``label``. resize: short side in pixels before a crop of 224, 224
        for each network's own. curve_steps: S, steps of deletion and insertion;
        ``insertion_start``: ``zero`` or ``blur``. code: the methods, metrics and backbones among
        them that are not camtui's own. until: ends the run before its last image: ``ci<=POINTS`` or
        ``decided``, with ``margin`` in points of ADCC. drop_decided: methods that are certainly
        worse are computed no further. truth: absolute path of a folder of masks or boxes, or of a
        COCO file; ``None`` without. pointing_margin, road_removal: see
        ``metrics.base.MetricSettings``.
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
    until: str | None = None
    margin: float | None = None
    drop_decided: bool = False
    code: tuple[Code, ...] = ()

    @property
    def rule(self) -> Rule | None:
        """When the run has enough images, ``None`` where it takes them all."""
        return rule_of(self.until, self.margin, self.drop_decided)

    @property
    def requested(self) -> tuple[str, ...]:
        """The metrics asked for beyond those of a row."""
        return tuple(key for key in catalog.requested_metrics() if key in self.metrics)

    @property
    def curves(self) -> tuple[str, ...]:
        """The curves among them."""
        return tuple(key for key in catalog.curve_metrics() if key in self.metrics)

    @property
    def metric_settings(self) -> MetricSettings:
        """What the formulas of metrics on request take."""
        return MetricSettings(self.pointing_margin, self.road_removal)

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
    def from_dict(values: dict[str, Any]) -> RunPlan:
        """The plan of ``to_dict``, validated.

        Raises:
            UsageError: a key that a plan does not have, or a value it does not take.
        """
        return validated(RunPlan._from_values(values))

    @staticmethod
    def _from_values(values: dict[str, Any]) -> RunPlan:
        """Keys and kinds are checked, values not yet."""
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
            catalog.introduce(one)
        try:
            backbones = tuple(
                parse_backbone(b) if isinstance(b, str) else _backbone(b)
                for b in values["backbones"]
            )
        except TypeError as error:
            raise UsageError(
                f"a backbone of the plan is malformed: {error}",
                f"it has {', '.join(f.name for f in fields(BackboneSpec))}",
            ) from error
        lists: dict[str, Any] = {
            key: tuple(values[key]) for key in ("methods", "metrics") if key in values
        }
        given: dict[str, Any] = {**values, **lists, "backbones": backbones, "code": code}
        return RunPlan(**given)

    @staticmethod
    def from_json(text: str) -> RunPlan:
        """The plan of ``to_json``, which was validated when it was stored.

        A run can be read when its weights' file has gone.

        Raises:
            ValueError: this is no JSON; UsageError: it is no plan.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("a plan is an object")
        return RunPlan._from_values(values)


def _is_kind(key: str, value: Any) -> bool:
    """Whether a plan's field can hold such a value at all; what it says is checked later."""
    if key in ("demo", "drop_decided"):
        return isinstance(value, bool)
    if key == "code":
        return isinstance(value, list | tuple)
    if key == "margin":
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    if key in ("methods", "metrics"):
        return isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    if key == "backbones":
        return isinstance(value, list | tuple) and all(_is_backbone(entry) for entry in value)
    if key in ("limit", "labels", "until", "truth") and value is None:
        return True
    whole = key in ("limit", "seed", "resize", "curve_steps", "pointing_margin")
    return (
        isinstance(value, int) and not isinstance(value, bool) if whole else isinstance(value, str)
    )


def _is_backbone(entry: Any) -> bool:
    """Whether an entry is a text, or a table of texts, numbers and lists of numbers."""
    if not isinstance(entry, dict):
        return isinstance(entry, str)
    return all(check_option(name, value) for name, value in entry.items())


def _backbone(values: dict[str, Any]) -> BackboneSpec:
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return BackboneSpec(**{**values, **lists})


def parse_backbone(spec: str) -> BackboneSpec:
    """``resnet50`` or ``vgg16:layer=features.29,weights=FILE``.

    Raises:
        UsageError: unknown backbone or option.
    """
    key, text = split_backbone(spec)
    _, options = catalog.split_spec(f"{shown_key(key)}:{text}", key=shown_key(key))
    known = [field.name for field in fields(BackboneSpec)[1:]]
    for name in options:
        if name not in known:
            raise UsageError(
                f"backbone '{shown_key(key)}' has no option '{name}'",
                f"{did_you_mean(name, known)}it has {', '.join(known)}: -b "
                f"{shown_key(key)}:layer=NAME",
            )
    return BackboneSpec(key, **{name: read_option(name, value) for name, value in options.items()})


def parse_metrics(keys: list[str]) -> tuple[str, ...]:
    """The metrics asked for, in the paper's order; ``all`` for every one.

    The five of a row always come along.

    So do the metrics that one of them is computed from.

    Raises:
        UsageError: unknown metric.
    """
    every = list(catalog.known_metrics())
    wanted = set(every if "all" in keys else [catalog.metric(key).key for key in keys]) | set(
        catalog.ROW_METRICS
    )
    wanted |= set(catalog.sources_of(wanted))
    return tuple(key for key in every if key in wanted)


def validated(plan: RunPlan) -> RunPlan:
    """The plan with canonical names, if every part of it can be met as far as can be told without torch.

    Raises:
        UsageError: names the part and what it takes.
    """
    backbones = tuple(dict.fromkeys(_checked_backbone(spec) for spec in plan.backbones))
    methods = tuple(dict.fromkeys(catalog.method(spec).name for spec in plan.methods))
    _check_choice("target", plan.target, ("predicted", "label"))
    _check_choice("insertion-start", plan.insertion_start, ("zero", "blur"))
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
    _refuse_one_name_for_two(backbones)
    result = replace(plan, backbones=backbones, methods=methods, metrics=_possible_metrics(plan))
    _check_some_cell(result)
    return result


def _check_rule(plan: RunPlan) -> None:
    """A rule must be understood, have images to look at.

    And methods to compare where it compares.
    """
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
    """The metrics of a plan; ``all`` does not mean those that need a truth where there is none.

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
    classes = (
        str(_existing(spec.classes, "class names", "one name a line: --classes FILE"))
        if spec.classes
        else None
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
    """Names stand for backbones in tables and commands."""
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
    """At least one method must be possible on one backbone.

    As far as the catalog knows the heads.
    """
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
    """Whether a network admits a method.

    An unknown one is given the benefit of the doubt until it is loaded.

    Args:
        gap_linear: its head is global average pooling and one linear layer.
        attention: its attention can be looked into.
    """
    lacks_head = method.needs_gap_linear and gap_linear is False
    return not lacks_head and not (method.needs_attention and attention is False)


_GROWS = (
    "backbones",
    "methods",
    "metrics",
    "limit",
    "labels",
    "data",
    "truth",
    "code",
    "until",
    "margin",
    "drop_decided",
)
"""What a later run on the same file may add to; data and truth may move, their hashes decide; the
newest rule counts.
"""


def grown(stored: RunPlan, asked: RunPlan) -> RunPlan:
    """The stored plan with what the request adds: backbones, methods, metrics, images.

    Raises:
        Mismatch: the two differ in a choice of the protocol; the message shows each difference.
    """
    protocol = [field.name for field in fields(RunPlan) if field.name not in _GROWS]
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
    wanted = {*stored.metrics, *asked.metrics}
    return replace(
        asked,
        backbones=tuple(
            {spec.name: spec for spec in [*stored.backbones, *asked.backbones]}.values()
        ),
        methods=tuple(dict.fromkeys([*stored.methods, *asked.methods])),
        metrics=parse_metrics(list(wanted)),
        limit=None
        if None in (stored.limit, asked.limit)
        else max(stored.limit or 0, asked.limit or 0),
        labels=asked.labels or stored.labels,
        code=_grown_code(stored, asked),
        truth=asked.truth or stored.truth,
    )


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


def _grown_code(stored: RunPlan, asked: RunPlan) -> tuple[Code, ...]:
    """The code of both; of a method that both have.

    What is known of it with the options of either.
    """
    found = {(one.axis, one.key): one for one in stored.code}
    for one in asked.code:
        known = found.get((one.axis, one.key))
        specs = {**known.facts.get("specs", {}), **one.facts.get("specs", {})} if known else {}
        found[one.axis, one.key] = (
            replace(one, facts={**one.facts, "specs": specs}) if specs else one
        )
    return tuple(found.values())


def cell_identity(plan: RunPlan, spec: BackboneSpec, loaded: LoadedBackbone, method: str) -> str:
    """What makes two cells the same measurement.

    Weights, layer, method with options, preprocessing, target, seed, precision.

    What version 1 could not be told (other sides, code of the user's by the hash of its source) is
    added only where it is there: its cells stay the same.
    """
    parts: list[object] = [
        loaded.sha256,
        loaded.layer,
        method,
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
    usual = known_backbone(spec.key).preprocessing
    if usual is None or spec.preprocessing(usual, plan.resize) != loaded.preprocessing:
        beyond["preprocessing"] = asdict(loaded.preprocessing)
    if beyond:
        parts.append(beyond)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

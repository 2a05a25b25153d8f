"""The plan of a run: images, backbones, methods, metrics, and the choices of the protocol.

Read from JSON or TOML, stored with the run, hashed for identity; without torch.
Then the checks of what it says, and what a later request adds to it or takes from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any, get_args

from evaluator import catalog
from evaluator.backbones import (
    DEFAULT_WEIGHTS,
    SHORT_SIDE,
    BackboneSpec,
    backbone_of,
    family_of,
    file_and_part,
    is_backbone_entry,
    known_backbone,
    refuse_arrays,
)
from evaluator.errors import Mismatch, NotApplicable, UsageError
from evaluator.methods.base import MOST_SIDE, Method
from evaluator.metrics.base import Metric
from evaluator.records import LoadedBackbone, Precision
from evaluator.references import Axis
from evaluator.sources.folder import data_folder
from evaluator.stopping_rule import DEFAULT_MARGIN, EVERY_IMAGE, Rule, enough_to_look, rule_of
from evaluator.text import did_you_mean, printable
from evaluator.user_code_facts import Code


@dataclass(frozen=True)
class RunPlan:
    """Images × backbones × methods → metrics, and the choices of the protocol: ``PROTOCOL``.

    Fractions and pixels; paths are absolute; see ``docs/protocol.md``.

    Attributes:
        data: the data folder; ``follow_links``: its links are followed wherever they lead;
            ``demo``: only scikit-image's photographs in it.
        methods: method specs, options included where they differ from the defaults.
        metrics: keys; the five of a row are always there, the others are optional.
        code: the methods, metrics and backbones among them that are not camtui's own.
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
    masking: str = "normalised"
    removed: str = "zero"
    map_side: int = 56
    until: str | None = None
    margin: float | None = None
    drop_decided: bool = False
    follow_links: bool = False
    images: str | None = None
    missing: str = "refused"
    code: tuple[Code, ...] = ()

    @property
    def folder(self) -> Path:
        """The data folder; what it knows of links decides which images are read."""
        return data_folder(self.data, follow_links=self.follow_links)

    @property
    def rule(self) -> Rule | None:
        """The stopping rule, ``None`` where the run takes every image."""
        return rule_of(self.until, self.margin, self.drop_decided)

    @property
    def optional_metrics(self) -> tuple[str, ...]:
        """The optional metrics: those beyond the ones of a row."""
        return tuple(key for key in catalog.optional_metrics() if key in self.metrics)

    def options(self) -> list[ProtocolOption]:
        """The options that the values of its metrics depend on."""
        known = catalog.known_metrics()
        return options_of((known[key] for key in self.metrics if key in known), self.methods)

    def notes(self) -> dict[str, str]:
        """How the metrics are measured: ``curves`` → ``28 steps, insertion starts from zero``."""
        concerned = {option.heading for option in self.options() if option.heading}
        said: dict[str, list[str]] = {}
        for option in PROTOCOL.values():
            words = option.note(getattr(self, option.name)) if option.heading in concerned else ""
            if words:
                said.setdefault(option.heading, []).append(words)
        return {heading: ", ".join(words) for heading, words in said.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON or TOML."""
        values = asdict(self)
        for name in ("follow_links", "images", "missing"):
            if values[name] == getattr(RunPlan, name):  # plans stay as earlier versions wrote them
                del values[name]
        return values

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

        ``validated_plan`` checks both.

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
    if key in PROTOCOL:
        return PROTOCOL[key].is_kind(value)
    if key in ("data", "demo"):
        return isinstance(value, str if key == "data" else bool)
    return isinstance(value, list | tuple) and (
        all(is_backbone_entry(entry) for entry in value)
        if key == "backbones"
        else key == "code" or all(isinstance(entry, str) for entry in value)
    )


MOST_STEPS = SHORT_SIDE * SHORT_SIDE
"""Most steps of a curve: one for each pixel of the usual input."""


@dataclass(frozen=True)
class ProtocolOption:
    """A choice of the protocol: what ``camtui run`` offers, checks, compares and says of it.

    Attributes:
        name: the field of ``RunPlan``, or of ``BackboneSpec``, which has the default.
        help: its line in ``--help``, below ``panel``, without the default.
        kind: of its values; a plan has paths as text.
        metavar: what stands for the value; without, all choices.
        flags: other names of it.
        within: what is typed for it, where it belongs to a metric or a rule: ``--metric
            deletion:steps``, ``--until decided:margin``; ``flag``, as earlier versions had it,
            goes on working and stands in no help.
        usual: the default in words, where it is not the plan's.
        choices: all values that it takes, or ``ends``, the least and the greatest, in ``unit``.
        hint: what to type where a value is not taken.
        extendable: whether a later request on the same file may change it.
        concerns: the metrics that depend on it, all or none or some.
        of_images: whether the maps of an ``ImageMethod`` depend on it.
        heading, note: what is said of a value where one of the heading's options is of concern;
            nothing where the note is empty.
    """

    name: str
    help: str
    kind: type = str
    metavar: str = ""
    panel: str = "Protocol"
    flags: tuple[str, ...] = ()
    within: str = ""
    usual: str = ""
    choices: tuple[Any, ...] = ()
    ends: tuple[int, float] | None = None
    unit: str = "a number"
    hint: str = ""
    extendable: bool = False
    concerns: bool | Callable[[Metric], object] = False
    of_images: bool = False
    heading: str = ""
    note: Callable[[Any], str] = str

    @property
    def flag(self) -> str:
        """``--curve-steps``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def typed(self) -> str:
        """What stands before its value: ``--target ``, ``--metric deletion:steps=``."""
        return f"{self.within}=" if self.within else f"{self.flag} "

    @property
    def short(self) -> str:
        """Its name behind that of a metric: ``steps``; empty where it belongs to none."""
        return self.within.rpartition(":")[2] if self.within.startswith("--metric") else ""

    @property
    def default(self) -> Any:
        """The plan's; ``None`` where it has none."""
        return getattr(RunPlan, self.name, None)

    def is_kind(self, value: Any) -> bool:
        """Whether a plan can hold a value of this kind."""
        if value is None:
            return self.default is None
        return type(value) in {float: (int, float), Path: (str,)}.get(self.kind, (self.kind,))

    def is_of(self, metrics: Sequence[Metric]) -> bool:
        """Whether the values of one of some metrics depend on it."""
        concerns = self.concerns
        return concerns if isinstance(concerns, bool) else any(map(concerns, metrics))

    def read(self, text: str) -> Any:
        """The value that a text gives, checked.

        Raises:
            UsageError: says what it takes.
        """
        try:
            value = self.kind(text)
        except ValueError:
            value = text
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Refuse a value that it does not take; ``None`` is none.

        Raises:
            UsageError: says what it takes.
        """
        if self.choices:
            taken, takes = value in self.choices, " or ".join(map(str, self.choices))
        elif self.ends:
            least, most = self.ends
            taken = value is None or (not isinstance(value, str) and least <= value <= most)
            takes = f"{self.unit} from {least}{f' to {most}' if most < inf else ''}"
        else:
            return
        if not taken:
            given = f"'{value}'" if self.kind is str else value
            raise UsageError(
                f"{self.typed.rstrip(' =')} takes {takes}, not {given}",
                self.hint
                or f"{did_you_mean(value, self.choices)}for example {self.typed}{self.choices[0]}",
            )


PROTOCOL: Mapping[str, ProtocolOption] = {
    option.name: option
    for option in (
        ProtocolOption(
            "limit", "First N images of the seeded order only.", int, "N", "Images",
            ("-n",), ends=(1, inf), hint="leave it out to take every image", extendable=True,
        ),
        ProtocolOption(
            "precision", "Number format: fp32, mixed or bf16.",
            usual="fp32 on cpu, mixed on cuda", choices=get_args(Precision), concerns=True,
        ),
        ProtocolOption("seed", "Seed of the order of images and of all noise.", int, "N"),
        ProtocolOption(
            "target", "Class to explain: predicted or label.",
            choices=("predicted", "label"), concerns=True,
        ),
        ProtocolOption(
            "resize",
            "Short side before the crop: 224, each network's own; or 256, 256/224 of its side.",
            int, "PIXELS", choices=(SHORT_SIDE, 256), hint="camtui run --resize 256",
            concerns=True,
        ),
        ProtocolOption(
            "side", "Height and width of the input in pixels.", int, "PIXELS",
            usual="each network's own, as camtui show says",
        ),
        ProtocolOption(
            "layer", "Target layer, by dotted name.", str, "LAYER", "Measurement",
            usual="the network's own",
        ),
        ProtocolOption(
            "weights", "File of weights, or random:SEED.", str,
            "FILE|random:SEED", "Measurement", usual="published",
        ),
        ProtocolOption(
            "classes", "File of class names for your own network, one a line.", Path, "FILE",
            "Measurement", usual="the network's, or the folders'",
        ),
        ProtocolOption(
            "labels", "CSV file of image,label, for a flat folder.", Path, "FILE", "Images",
            extendable=True,
        ),
        ProtocolOption(
            "curve_steps", "Steps of deletion, insertion and MoRF–LeRF.", int, "N",
            within="--metric deletion:steps",
            ends=(2, MOST_STEPS), hint="leave it out to take 28",
            concerns=lambda metric: metric.curve or metric.sweeps > 0, heading="curves",
            note="{} steps".format,
        ),
        ProtocolOption(
            "insertion_start",
            "What insertion starts from: zero, blur (as RISE does) or blur-torchvision.",
            metavar="zero|blur|…", choices=("zero", "blur", "blur-torchvision"),
            within="--metric insertion:start",
            concerns=lambda metric: metric.key == "insertion",
            heading="curves", note="insertion starts from {}".format,
        ),
        ProtocolOption(
            "removed", "What pixels become that deletion takes away: zero, black or blur.",
            choices=("zero", "black", "blur"), within="--metric deletion:removed",
            concerns=lambda metric: metric.curve and metric.key != "insertion",
            heading="curves",
            note={"zero": "", "black": "removed pixels become black",
                  "blur": "removed pixels are blurred"}.__getitem__,
        ),
        ProtocolOption(
            "masking",
            "What the map is multiplied with: normalised values, or pixels (to black).",
            choices=("normalised", "pixels"),
            concerns=lambda metric: not (metric.pixels or metric.truth),
            heading="masking",
            note={"normalised": "", "pixels": "before normalisation, to black"}.__getitem__,
        ),
        ProtocolOption(
            "until",
            "Stop when enough is known: 'ci<=POINTS', decided, or decided:margin=POINTS,drop.",
            str, "RULE", "Images", usual="all images", extendable=True,
        ),
        ProtocolOption(
            "margin", "Differences of ADCC that do not matter to decided, in points.", float,
            "POINTS", "Images", within="--until decided:margin", usual=f"{DEFAULT_MARGIN:g}",
            extendable=True,
        ),
        ProtocolOption(
            "drop_decided", "Whether decided stops computing methods that are certainly worse.",
            bool, panel="Images", within="--until decided:drop", extendable=True,
        ),
        ProtocolOption(
            "truth", "Where the objects are: masks, boxes, a data set's own, or COCO.", Path,
            "DIR|FILE", "Images", extendable=True,
        ),
        ProtocolOption(
            "follow_links", "Read images behind links that others may have laid.", bool,
            panel="Images", extendable=True,
        ),
        ProtocolOption(
            "images", "The very images: CSV of image[,label[,truth]].", Path, "LIST.csv", "Images",
            extendable=True,
        ),
        ProtocolOption(
            "missing", "Of --images that are not there: refused or ok.", panel="Images",
            choices=("refused", "ok"), extendable=True,
        ),
        ProtocolOption(
            "pointing_margin", "Pixels around the object that the pointing game counts as hits.",
            int, "PIXELS", within="--metric pointing_game:margin",
            ends=(0, inf), unit="pixels", hint="the protocol's is 15",
            concerns=lambda metric: metric.key == "pointing_game",
        ),
        ProtocolOption(
            "road_removal", "How ROAD takes pixels out: rank, or released (by percentile).",
            choices=("rank", "released"), within="--metric road:removal",
            concerns=lambda metric: metric.key == "road",
            heading="imputation", note="pixels by {}".format,
        ),
        ProtocolOption(
            "road_noise",
            "Where ROAD adds its noise: to pixels, or normalised, as earlier versions.",
            choices=("pixels", "normalised"), within="--metric road:noise",
            concerns=lambda metric: metric.forwards > 0,
            heading="imputation",
            note={"pixels": "noise 0.01 in pixels",
                  "normalised": "noise 0.01 after normalisation"}.__getitem__,
        ),
        ProtocolOption(
            "map_side", "Longest side of the maps of image methods (camtui methods), in values.",
            int, "N", ends=(2, MOST_SIDE), hint="leave it out to take 56",
            of_images=True, heading="image maps", note="at most {0} × {0}".format,
        ),
    )
}  # fmt: skip
"""The choices of the protocol by name, in the order of ``--help``.

Those that are no field of a plan are of every backbone that has none of its own.
"""


def options_of(metrics: Iterable[Metric], methods: Iterable[str] = ()) -> list[ProtocolOption]:
    """The options that the values of some metrics depend on, in the order of a plan.

    Args:
        methods: specs of those that they are measured for.
    """
    of_images = any(map(catalog.is_of_images, methods))
    keys = [metric.key for metric in metrics]
    asked = [catalog.metric(key) for key in (*keys, *catalog.sources_of(keys))]
    options = [PROTOCOL[one.name] for one in fields(RunPlan) if one.name in PROTOCOL]
    return [one for one in options if one.is_of(asked) or (of_images and one.of_images)]


def metric_choices(specs: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """The metrics of ``KEY`` or ``KEY:OPTION=VALUE,…``, and what these choose of the protocol.

    ``["road:removal=released", "iou"]`` → ``["road", "iou"]`` and ``{"road_removal": "released"}``.
    References to code stay as they are.

    Raises:
        UsageError: no such option, a value that it does not take, or two metrics that choose one
            thing differently.
    """
    keys: list[str] = []
    chosen: dict[str, Any] = {}
    for spec in specs:
        key = spec.partition(":")[0].strip()
        known = catalog.known_metrics().get(key)
        keys.append(spec if known is None else key)
        if known is None:
            continue
        offered = options_of_metric(known)
        for name, text in catalog.split_spec(spec)[1].items():
            if name not in offered:
                has = f"it has {', '.join(offered)}" if offered else "it has no options"
                near = did_you_mean(name, offered)
                raise UsageError(
                    f"metric '{key}' has no option '{name}'", f"{near}{has}: camtui metrics"
                )
            option = offered[name]
            value = option.read(text)
            if chosen.setdefault(option.name, value) != value:
                raise UsageError(
                    f"{key}:{name}={text} contradicts {name}={chosen[option.name]} of another "
                    "metric: they share it",
                    f"give {name} once, or the same for both",
                )
    return list(dict.fromkeys(keys)), chosen


def options_of_metric(metric: Metric) -> dict[str, ProtocolOption]:
    """What is chosen behind the name of a metric: ``steps`` → the option of the protocol."""
    return {one.short: one for one in PROTOCOL.values() if one.short and one.is_of([metric])}


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
    version 1 did not have (other sides, code of the user's by the hash of its source, another
    masking, the side of an image method's map) are added only where they are given, so that its
    cells keep their identity; so is what a network of torchvision is shown, where earlier versions
    showed it something else. A method that has another name now (``todays_names``) is hashed by its
    former one.
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
        plan.source_of("method", catalog.key_of(method)),
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
    if plan.masking != RunPlan.masking:
        beyond["masking"] = plan.masking
    if catalog.is_of_images(method):
        beyond["map_side"] = plan.map_side
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
    _refuse_one_name_for_two(backbones)
    methods = tuple(dict.fromkeys(catalog.method(spec).name for spec in plan.methods))
    for name, option in PROTOCOL.items():
        option.check(getattr(plan, name, None))
    if plan.until == EVERY_IMAGE:
        plan = replace(plan, until=None)
    _check_rule(plan)
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
    refuse_arrays(spec)
    if spec.transform_input and not known_backbone(spec.key).transform_input:
        raise UsageError(
            f"{spec.shown_key} has no transform_input: inception_v3 and googlenet have",
            "leave it out; mean= and std= say how images are normalised",
        )
    classes = spec.classes and str(
        _existing(spec.classes, "class names", "one name a line: --classes FILE")
    )
    return replace(spec, key=key, weights=_checked_weights(spec.weights), classes=classes)


_OTHER_FRAMEWORKS = (".onnx", ".h5", ".hdf5", ".keras", ".pb", ".tflite", ".npz", ".msgpack")


def _checked_weights(weights: str) -> str:
    if weights == DEFAULT_WEIGHTS:
        return weights
    if weights.startswith("random:"):
        if not weights.removeprefix("random:").isdecimal():
            raise UsageError(f"'{weights}' names no seed", "for example --weights random:0")
        return weights
    hint = "give a .safetensors or .pth file, or random:SEED"
    file, part = file_and_part(weights)
    if Path(file).suffix in _OTHER_FRAMEWORKS:
        raise UsageError(f"cannot read weights from '{weights}'", hint)
    return str(_existing(file, "weights", hint)) + (f"#{part}" if part else "")


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
            raise UsageError(f"two networks would be called {spec.name}", "rename one of the files")


def _check_some_cell(plan: RunPlan) -> None:
    """Refuse a plan in which no method applies to any backbone, as far as their heads are known."""
    if not any(may_apply(method, spec) for spec in plan.backbones for method in plan.methods):
        needs = dict.fromkeys(catalog.method(method).needs for method in plan.methods)
        raise NotApplicable(
            f"{', '.join(plan.methods)} does not apply to "
            f"{', '.join(b.name for b in plan.backbones)}: "
            f"it needs {' or '.join(needs)}",
            "choose another method: camtui methods, or another network: camtui backbones",
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


_EXTENDABLE = {
    *("backbones", "methods", "metrics", "data", "code"),
    *(name for name, option in PROTOCOL.items() if option.extendable),
}
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
        follow_links=asked.follow_links or stored.follow_links,
        images=asked.images or stored.images,
        missing="ok" if "ok" in (asked.missing, stored.missing) else asked.missing,
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
    concerned = {option.name for option in plan.options()}
    if "road_noise" in concerned and plan.road_noise == "normalised":
        yield (
            "ROAD's noise after normalisation, as earlier versions of camtui did "
            "(--metric road:noise=normalised)"
        )
    if "insertion_start" in concerned and plan.insertion_start == "blur-torchvision":
        yield (
            "insertion starts from torchvision's blur, not RISE's, as earlier versions' did "
            "(--metric insertion:start=blur-torchvision)"
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

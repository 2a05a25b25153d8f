"""The plan of a run: images, backbones, methods, metrics, and the choices of the protocol.

Read from JSON or TOML, stored with the run, hashed for identity; without torch.
``plan_validation`` checks what it says, ``plan_changes`` adds to it or takes from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from evaluator import catalog
from evaluator.backbone_spec import (
    DEFAULT_WEIGHTS,
    SHORT_SIDE,
    BackboneSpec,
    backbone_of,
    is_backbone_entry,
)
from evaluator.backbones import known_backbone
from evaluator.errors import UsageError
from evaluator.metrics.base import MetricSettings
from evaluator.records import LoadedBackbone, Precision
from evaluator.references import Axis
from evaluator.stopping_rule import Rule, rule_of
from evaluator.text import did_you_mean
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

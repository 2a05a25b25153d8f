"""JSON of ``methods``, ``metrics``, ``backbones``, ``check``, ``bench`` and ``new``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from camtui.payloads.common import (
    CheckedPreprocessingPayload,
    Count,
    Cut,
    NonNegative,
    PositiveCount,
    Score,
)


class TopClassPayload(TypedDict, closed=True):
    """One of the most confident classes."""

    index: Count
    name: str | None
    score: float


class BackboneCheckPayload(TypedDict, closed=True):
    """camtui backbones --check SPEC --json."""

    backbone: str
    key: str
    weights: str
    sha256: str
    layer: str
    channels: PositiveCount
    height: PositiveCount
    width: PositiveCount
    gap_linear: bool
    classes: list[str]
    preprocessing: CheckedPreprocessingPayload
    class_count: PositiveCount
    score: Score
    cut: Cut
    tokens: Count | None
    source: str
    attention: Count
    remarks: list[str]
    device: str
    batch_size: PositiveCount
    forwards_per_second: Annotated[float, Field(gt=0)]
    top: Annotated[list[TopClassPayload], Field(max_length=5)]


class BackbonePayload(TypedDict, closed=True):
    """A backbone of the catalog."""

    key: str
    title: str
    layer: str | None
    channels: Count
    gap_linear: bool | None
    weights: str | None
    weights_file: str


class InstalledPayload(TypedDict, closed=True):
    """A method or metric that an installed package registers."""

    key: str
    reference: str
    package: str


class BackbonesPayload(TypedDict, closed=True):
    """camtui backbones --json."""

    backbones: list[BackbonePayload]
    others: list[str]
    installed: list[InstalledPayload]


class BenchedBackbonePayload(TypedDict):
    """Forwards a second of a backbone, and the seconds of its methods."""

    backbone: str
    device: NotRequired[str]
    measuring: NonNegative
    weighing: NonNegative
    rows: NonNegative
    masks: NonNegative
    channels: Count
    gap_linear: bool
    seconds: dict[str, NonNegative]
    total: NonNegative


class BenchPayload(TypedDict, closed=True):
    """camtui bench --json."""

    images: Count
    backbones: list[BenchedBackbonePayload]


class RulePayload(TypedDict, closed=True):
    """A rule, and whether it is kept."""

    rule: str
    passed: bool | None
    found: str


class CheckPayload(TypedDict, closed=True):
    """camtui check --json."""

    axis: Literal["method", "metric"]
    spec: str
    passed: bool
    rules: list[RulePayload]


class MethodPayload(TypedDict, closed=True):
    """A method of the catalog."""

    key: str
    title: str
    weighs_by: str
    paper: str
    forwards: Count
    options: dict[str, Any]
    choices: dict[str, list[str]]
    needs_gap_linear: bool
    beyond_paper: bool
    control: bool
    needs_attention: bool


class MethodsPayload(TypedDict, closed=True):
    """camtui methods --json."""

    methods: list[MethodPayload]
    installed: list[InstalledPayload]


class MetricPayload(TypedDict, closed=True):
    """A metric of the catalog."""

    key: str
    title: str
    definition: str
    paper: str
    better: Literal["higher", "lower"]
    always: bool
    curve: bool


class MetricsPayload(TypedDict, closed=True):
    """camtui metrics --json."""

    metrics: list[MetricPayload]
    installed: list[InstalledPayload]


class NewFilesPayload(TypedDict, closed=True):
    """camtui new --json."""

    files: list[str]
    reference: str
    next: str

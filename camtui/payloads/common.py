"""Types that the JSON of several commands has in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
SignedShare = Annotated[float, Field(ge=-1, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
OptionalMetric = Annotated[SignedShare | None, Field(description="an optional metric, by its key")]
MetricKey = Annotated[str, Field(description="key of a metric")]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

State = Literal[
    "starting", "running", "stopping", "paused", "stopped", "complete", "failed", "crashed"
]

Score = Literal["softmax", "sigmoid", "probability"]
Cut = Literal["graph", "hooks"]
Channels = Literal[1, 3]

_PLAN_KEYS = [
    "data",
    "backbones",
    "methods",
    "metrics",
    "seed",
    "target",
    "resize",
    "precision",
]
PlanPayload = Annotated[
    dict[str, Any],
    Field(
        json_schema_extra={"required": _PLAN_KEYS},
        description="evaluator.plan.RunPlan; camtui run --config takes it as TOML",
    ),
]


class CheckedPreprocessingPayload(TypedDict, closed=True):
    """Preprocessing of a checked backbone."""

    side: Annotated[int, Field(ge=1)]
    resize: Annotated[int, Field(ge=1)]
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    mean: list[float]
    std: list[float]
    channels: Annotated[int, Field(ge=1)]


class PreprocessingPayload(TypedDict, closed=True):
    """Preprocessing of a backbone."""

    side: int
    resize: int
    interpolation: str
    mean: list[float]
    std: list[float]
    channels: Channels

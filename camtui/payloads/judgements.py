"""JSON of ``camtui judge``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from camtui.payloads.common import Count, MetricKey, PositiveCount, Share
from camtui.payloads.runs import RunPayload


class EstimatePayload(TypedDict, closed=True):
    """A statistic over all images and its 95 % interval; null where no image defines it."""

    value: float | None
    low: float | None
    high: float | None
    n: Annotated[int, Field(ge=0, description="images that it rests on")]


class AgreementPayload(TypedDict, closed=True):
    """Kendall's tau-b with the order of the truth, -1 to 1."""

    metric: MetricKey
    truth: Annotated[str, Field(description="the measure of truth")]
    per_image: EstimatePayload
    of_averages: EstimatePayload


class ControlWinsPayload(TypedDict, closed=True):
    """Share of the images on which the control is above every method."""

    metric: MetricKey
    control: str
    share: EstimatePayload
    on_average: bool | None


class NullControlPayload(TypedDict, closed=True):
    """A fixed map, the same on both networks: what is noticed of it is the networks' confidence."""

    control: str
    fall: EstimatePayload
    noticed: EstimatePayload
    excess: Annotated[
        EstimatePayload, Field(description="noticed of the methods' maps minus that of this one")
    ]


class SensitivityPayload(TypedDict, closed=True):
    """Fall of the averages, as a fraction, and share of images whose value is worse."""

    metric: MetricKey
    against: Literal["wrong class", "random weights"]
    methods: list[str]
    fall: EstimatePayload
    noticed: EstimatePayload
    chance: Annotated[Share, Field(description="noticed where nothing is told apart")]
    null_controls: list[NullControlPayload]


class StabilityPayload(TypedDict, closed=True):
    """Tau-b between two disjoint random sets of so many images."""

    metric: MetricKey
    images: PositiveCount
    tau: EstimatePayload


class JudgementPayload(TypedDict, closed=True):
    """The judgement of one backbone's metrics."""

    backbone: str
    methods: Annotated[list[str], Field(description="those that are ranked")]
    controls: list[str]
    twins: Annotated[
        dict[str, str], Field(description="method → the equal one that stands for both")
    ]
    lacking: Annotated[
        dict[str, list[str]],
        Field(
            description="metric → the methods without a value of it, and without which it is judged"
        ),
    ]
    agreement: list[AgreementPayload]
    control_wins: list[ControlWinsPayload]
    sensitivity: list[SensitivityPayload]
    stability: list[StabilityPayload]


class JudgementsPayload(TypedDict, closed=True):
    """camtui judge RUN --json."""

    schema_version: Literal[1]
    run: RunPayload
    draws: Annotated[int, Field(ge=1, description="of the bootstrap over images")]
    seed: Count
    backbones: list[JudgementPayload]

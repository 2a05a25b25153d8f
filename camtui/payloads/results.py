"""JSON of a run's results: averages, images, failures."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from camtui.payloads.common import (
    Count,
    MetricKey,
    NonNegative,
    OptionalMetric,
    PositiveCount,
    Share,
    SignedShare,
)
from camtui.payloads.runs import RunPayload


class MeanPayload(TypedDict, closed=True):
    """An average as a fraction, its standard error (null below two images), and its number."""

    mean: Share
    se: NonNegative | None
    n: PositiveCount


class SignedMeanPayload(TypedDict, closed=True):
    """An average of an optional metric, which may be negative."""

    mean: SignedShare
    se: NonNegative | None
    n: PositiveCount


_TrueClass = TypedDict(
    "_TrueClass",
    {
        "class": NotRequired[
            Annotated[
                int | None,
                Field(
                    description="with --by class: the true class of the images, "
                    "null where the label is unknown"
                ),
            ]
        ]
    },
)


class CellPayload(  # type: ignore[call-arg]  # mypy does not know PEP 728's extra items yet
    _TrueClass,
    extra_items=Annotated[
        SignedMeanPayload | None, Field(description="an optional metric, by its key")
    ],
):
    """camtui export -f jsonl: one line per cell."""

    backbone: str
    method: str
    applicable: bool
    note: str
    n: Count
    failed: Count
    degenerate: Count
    class_name: NotRequired[Annotated[str, Field(description="with --by class: its name")]]
    correct: NotRequired[
        Annotated[
            bool | None,
            Field(
                description="with --by correct: whether the network is right, "
                "null where the label is unknown"
            ),
        ]
    ]
    average_drop: MeanPayload | None
    average_increase: MeanPayload | None
    coherency: MeanPayload | None
    complexity: MeanPayload | None
    adcc: MeanPayload | None
    mean_image_adcc: MeanPayload | None


class FailurePayload(TypedDict, closed=True):
    """An image without a value, why, and in which cells."""

    image: str
    id: Count
    metric: str | None
    reason: str
    detail: str
    cells: list[str]


class UndefinedPayload(TypedDict, closed=True):
    """An image whose confidence y is 0 in some cells: it has no average drop and no ADCC there."""

    image: str
    id: Count
    cells: list[str]


class FailuresPayload(TypedDict, closed=True):
    """camtui errors RUN --json."""

    schema_version: Literal[1]
    total: Count
    truncated: bool
    errors: list[FailurePayload]
    undefined: list[UndefinedPayload]


class ImagePayload(TypedDict, extra_items=OptionalMetric):  # type: ignore[call-arg]  # as above
    """camtui export --per-image -f jsonl: one line per image and cell."""

    backbone: str
    method: str
    image: Annotated[
        str, Field(description="path relative to the data folder, unprintable characters escaped")
    ]
    label: Count | None
    target: Count
    predicted: Count
    y: Share
    o: Share
    average_drop: Share | None
    average_increase: Share | None
    coherency: Share | None
    complexity: Share | None
    adcc: Share | None
    degenerate: bool
    image_hex: NotRequired[
        Annotated[
            str,
            Field(
                pattern="^([0-9a-f]{2})+$",
                description="the bytes of the path, where escaping changed it",
            ),
        ]
    ]


class ImagesPayload(TypedDict, closed=True):
    """camtui export --per-image -f json: one record per image and cell."""

    schema_version: Literal[1]
    run: RunPayload
    images: list[ImagePayload]


class SummaryPayload(TypedDict, closed=True):
    """camtui export -f json, camtui table -f json: averages of a run."""

    schema_version: Literal[1]
    run: RunPayload
    cells: list[CellPayload]


class WorstImagePayload(TypedDict, extra_items=OptionalMetric):  # type: ignore[call-arg]  # as above
    """An image of the list with its scores."""

    place: PositiveCount
    image: str
    id: Count
    label: Count | None
    label_name: str | None
    predicted: Count
    predicted_name: str | None
    target: Count
    target_name: str | None
    y: Share
    o: Share
    average_drop: Share | None
    average_increase: Share | None
    coherency: Share | None
    complexity: Share | None
    adcc: Share | None
    degenerate: bool


class WorstPayload(TypedDict, closed=True):
    """camtui worst RUN --json."""

    schema_version: Literal[1]
    backbone: str
    method: str
    by: MetricKey
    best: bool
    images: list[WorstImagePayload]

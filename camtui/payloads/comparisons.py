"""JSON of ``camtui compare``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from camtui.payloads.common import Count, MetricKey, NonNegative, Share
from camtui.payloads.results import MeanPayload
from camtui.payloads.runs import RunPayload


class PaperCellPayload(TypedDict, closed=True):
    """A cell's average beside the paper's."""

    backbone: str
    method: str
    metric: MetricKey
    ours: MeanPayload
    paper: Share
    difference: float
    within_interval: bool | None


class PaperComparisonPayload(TypedDict, closed=True):
    """camtui compare RUN --paper --json."""

    schema_version: Literal[1]
    run: RunPayload
    differs_in: Annotated[
        list[Literal["weights", "protocol", "number of images"]],
        Field(description="what is not the paper's"),
    ]
    deviations: list[str]
    open_choices: list[str]
    cells: list[PaperCellPayload]


class ComparedCellPayload(TypedDict, closed=True):
    """A metric of a cell in both runs."""

    backbone: str
    method: str
    metric: MetricKey
    n: Count
    first: Share
    second: Share
    change: Annotated[float, Field(description="second minus first")]
    se: NonNegative | None
    verdict: Annotated[
        Literal["better", "worse", "tie", "untested"],
        Field(
            description="paired t test, 5 % over all cells of the comparison (Holm); "
            "untested below 10 common images"
        ),
    ]


class ComparisonPayload(TypedDict, closed=True):
    """A run against the baseline."""

    first: str
    second: str
    only_first: list[str]
    only_second: list[str]
    notes: list[str]
    cells: list[ComparedCellPayload]


class ComparisonsPayload(TypedDict, closed=True):
    """camtui compare RUN RUN --json."""

    schema_version: Literal[1]
    comparisons: list[ComparisonPayload]

"""JSON about runs and this machine: state, list, plan, events, errors."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from camtui.payloads.common import (
    Count,
    Cut,
    NonNegative,
    PlanPayload,
    PreprocessingPayload,
    Score,
    Share,
    State,
    Timestamp,
)


class LoadedBackbonePayload(TypedDict, closed=True):
    """A backbone as the run has loaded it."""

    weights: str
    sha256: str
    layer: str
    preprocessing: PreprocessingPayload
    score: Score
    cut: Cut
    transform_input: bool | None
    remarks: list[str]


class RunPayload(TypedDict, closed=True):
    """A run: when, what, by which protocol, with which weights and versions."""

    name: str
    state: State
    created: Timestamp
    finished: Timestamp | None
    images: Count
    manifest_sha256: str
    plan: PlanPayload
    backbones: dict[str, LoadedBackbonePayload | None]
    versions: dict[str, str]


class RunCheckPayload(TypedDict, closed=True):
    """camtui doctor RUN --json."""

    run: str
    problems: list[str]
    remark: str


class MachinePayload(TypedDict, extra_items=str):  # type: ignore[call-arg]  # mypy does not know PEP 728 yet
    """camtui doctor --json."""

    camtui: str
    python: str
    torch: str
    torchvision: NotRequired[str]
    textual: NotRequired[str]
    sqlite: NotRequired[str]
    interpreter: str
    cpu: NotRequired[str]
    gpus: NotRequired[str]
    runs: str
    weights: str
    terminal: NotRequired[str]
    logout: NotRequired[str]
    extras: NotRequired[str]


class PlannedStagePayload(TypedDict, closed=True):
    """A stage of the work that is left."""

    title: str
    forwards_per_image: NonNegative
    images_per_unit: Count
    images_to_do: Count
    images_to_do_by_method: dict[str, Count]


class UntilPayload(TypedDict, closed=True):
    """Decision of the rule of ``--until`` so far."""

    rule: str
    images_looked_at: Count
    images_needed: Count | None
    decided_after: Count | None
    verdicts: list[str]


class DryRunPayload(TypedDict, closed=True):
    """camtui run --dry-run --json."""

    run: str
    db: str
    plan: PlanPayload
    images: Count
    devices: list[str]
    forwards: Count
    stages: list[PlannedStagePayload]
    until: UntilPayload | None
    weights_to_fetch: list[str]
    seconds: NonNegative | None


class ErrorBodyPayload(TypedDict, closed=True):
    """Kind, message and hint of an error."""

    kind: str
    message: str
    hint: str
    run: str | None


class ErrorPayload(TypedDict, closed=True):
    """what a command with --json prints where it fails."""

    error: ErrorBodyPayload


EventLevel = Literal["info", "warning", "error"]


class EventPayload(TypedDict, closed=True):
    """one line of camtui logs RUN --json."""

    time: Annotated[float, Field(description="seconds since 1970")]
    level: EventLevel
    text: str


class HandoffPayload(TypedDict, closed=True):
    """the first line of camtui run --json, resume --json and retry --json; all with --detach."""

    run: str
    pid: Count
    db: str
    log: str
    watch: str
    labels: str


class ListedRunPayload(TypedDict, closed=True):
    """A run of the list."""

    run: str
    db: str
    state: State | Literal["unreadable"]
    message: str
    progress: Share | None
    images: Count | None
    failures: Count | None
    started: str


class RunsPayload(TypedDict, closed=True):
    """camtui ls --json."""

    runs: list[ListedRunPayload]
    truncated: bool


class StageTimingPayload(TypedDict, closed=True):
    """Time that a stage took."""

    stage: str
    done: Count
    images: Count
    seconds: float
    seconds_per_image: float | None
    forwards_per_image: float


class ShownRunPayload(TypedDict, closed=True):
    """camtui show RUN --json."""

    schema_version: Literal[1]
    run: RunPayload
    timings: list[StageTimingPayload]


class StatusPayload(TypedDict, closed=True):
    """camtui status RUN --json, camtui wait RUN --json, and the last line of camtui run --json."""

    run: str
    db: str
    state: State
    message: str
    pid: Count | None
    images: Count
    progress: Share
    stage: str
    stage_number: Count
    stages: Count
    done: Count
    total: Count
    images_per_second: NonNegative | None
    eta_seconds: NonNegative | None
    elapsed_seconds: NonNegative
    failures: Count
    workers: Count
    restarts: Count
    heartbeat_age_seconds: NonNegative | None
    advice: str
    until: UntilPayload | None

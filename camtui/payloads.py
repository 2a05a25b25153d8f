"""The types of everything that the command line prints as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, GetPydanticSchema, WithJsonSchema
from typing_extensions import TypedDict

from evaluator.records import Interpolation, Look, Preprocessing, RunState, Score

Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
SignedShare = Annotated[float, Field(ge=-1, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
OptionalMetric = Annotated[SignedShare | None, Field(description="an optional metric, by its key")]
MetricKey = Annotated[str, Field(description="key of a metric")]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
RunFile = Annotated[Path, WithJsonSchema({"type": "string"})]

State = Literal[RunState, "crashed"]
"""As stored, or ``crashed``: the file says that the run goes on, and nobody is at work."""

Cut = Literal["graph", "hooks"]

_PLAN_KEYS = ["data", "backbones", "methods", "metrics", "seed", "target", "resize", "precision"]
PlanPayload = Annotated[
    dict[str, Any],
    Field(
        json_schema_extra={"required": _PLAN_KEYS},
        description="evaluator.plan.RunPlan; camtui run --config takes it as TOML",
    ),
]


@dataclass(frozen=True, kw_only=True)
class CheckedPreprocessing(Preprocessing):
    """Preprocessing of a checked backbone."""

    side: PositiveCount
    resize: PositiveCount
    channels: PositiveCount


@dataclass(frozen=True, kw_only=True)
class PreprocessingPayload(Preprocessing):
    """Preprocessing of a backbone."""

    interpolation: Annotated[Interpolation, WithJsonSchema({"type": "string"})]
    channels: Literal[1, 3]


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


class DifferingRowPayload(TypedDict, closed=True):
    """A row that was computed again and is another."""

    backbone: str
    method: str
    image: str
    metric: Annotated[str, Field(description="y, o, target, predicted, map, or a metric's key")]
    stored: float | None
    found: float | None
    difference: Annotated[float | None, Field(description="null where one of them is missing")]


class CaughtPayload(TypedDict, closed=True):
    """How likely rows computed again would have shown forged ones."""

    forged: Annotated[Share, Field(description="share of the rows; 0: a single row")]
    probability: Share


class VerifyPayload(TypedDict, closed=True):
    """camtui verify BUNDLE|RUN --json."""

    verified: bool
    fingerprint: str
    problems: list[str]
    remarks: list[str]
    rows: Annotated[Count, Field(description="of the networks and images that are here")]
    drawn: Count
    agreed: Count
    seed: int
    differing: list[DifferingRowPayload]
    caught: list[CaughtPayload]


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


UntilLook = Annotated[Look, GetPydanticSchema(lambda _, handler: handler(UntilPayload))]
"""The decision of a rule, which is printed as ``UntilPayload``."""


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


class _Scores(TypedDict):
    y: Share
    o: Share
    average_drop: Share | None
    average_increase: Share | None
    coherency: Share | None
    complexity: Share | None
    adcc: Share | None
    degenerate: bool


class _Explained(TypedDict):
    backbone: str
    method: str
    image: Annotated[
        str, Field(description="path relative to the data folder, unprintable characters escaped")
    ]
    label: Count | None
    target: Count
    predicted: Count


class ImagePayload(_Explained, _Scores, extra_items=OptionalMetric):  # type: ignore[call-arg]  # as above
    """camtui export --per-image -f jsonl: one line per image and cell."""

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


class _Ranked(TypedDict):
    place: PositiveCount
    image: str
    id: Count
    label: Count | None
    label_name: str | None
    predicted: Count
    predicted_name: str | None
    target: Count
    target_name: str | None


class WorstImagePayload(_Ranked, _Scores, extra_items=OptionalMetric):  # type: ignore[call-arg]  # as above
    """An image of the list with its scores."""


class WorstPayload(TypedDict, closed=True):
    """camtui worst RUN --json."""

    schema_version: Literal[1]
    backbone: str
    method: str
    by: MetricKey
    best: bool
    images: list[WorstImagePayload]


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
    preprocessing: CheckedPreprocessing
    class_count: PositiveCount
    score: Score
    cut: Cut
    tokens: Count | None
    source: str
    attention: Count
    transform_input: bool | None
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


class ApartPayload(TypedDict, closed=True):
    """Two maps of one image, scaled to [0, 1]: largest difference at a pixel, and correlation."""

    image: str
    largest: NonNegative
    correlation: float


class AgainstNetworkPayload(TypedDict, closed=True):
    """The photographs on one network, or why there are none."""

    network: str
    problem: str | None
    images: list[ApartPayload]


class AgainstPayload(TypedDict, closed=True):
    """camtui check --against --json."""

    methods: list[str]
    paper_shaped: list[bool]
    networks: list[AgainstNetworkPayload]


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
    optimises: str
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


class PaperCellPayload(TypedDict, closed=True):
    """A cell's average beside the paper's."""

    backbone: str
    method: str
    metric: MetricKey
    ours: MeanPayload
    paper: Share
    difference: float
    within_interval: bool | None

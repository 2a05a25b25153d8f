"""Records that travel between the parts: plain, frozen, no behaviour beyond their fields."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

Precision = Literal["fp32", "mixed", "bf16"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Score = Literal["softmax", "sigmoid", "probability"]
RunState = Literal["starting", "running", "stopping", "paused", "stopped", "complete", "failed"]


NO_TRUTH = "no-truth"
"""Reason of a ``Failure`` that is none: nobody has annotated the image."""


class ImageRef(NamedTuple):
    """One image of the manifest.

    Attributes:
        id: rank in the seeded shuffle, from 0: running means over the first n are unbiased at any
            n.
        path: bytes relative to the data root; file names need not be UTF-8.
        size: bytes, the guard against another file under the same name.
        label: ImageNet class index, ``None`` where unknown.
        content: sha256 of the file that the run's rows were made from, ``None`` before the first of
            them.
    """

    id: int
    path: bytes
    size: int
    label: int | None
    content: bytes | None = None


class StoredMap(NamedTuple):
    """The part of a finished row that optional metrics need.

    No pass over the clean image or the explanation map is repeated.

    Attributes:
        target: class index c; ``y``, ``o``: confidence in it on the image and on the explanation
            map.
        values: the saliency map at the layer's resolution, float32 little-endian; ``None`` for a
            fixed map.
        measured: key and value of the metrics that others are computed from (``Metric.of``), as far
            as the image has them.
    """

    target: int
    y: float
    o: float
    values: bytes | None
    measured: tuple[tuple[str, float], ...] = ()


class StoredAnswer(NamedTuple):
    """The network's answer to one image, as the run's rows have it.

    Attributes:
        image: with the content that the rows were made from.
        target: class explained; ``predicted``: the one with the highest confidence.
        y: confidence in the target.
    """

    image: ImageRef
    target: int
    predicted: int
    y: float


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece of work that is handed out: some cells of one backbone on some images.

    Attributes:
        id: of this handing out; a unit that is lost comes again under another id.
        backbone: position in the plan's backbones.
        cells: cell ids and ``methods``: their method specs, in step.
        metrics: those to measure on stored maps; empty for the row itself.
        maps: for curves: ``(cell, image)`` → the stored map; it lacks rows that are not what was
            written.
        answers: of some stored images: whoever loads the backbone for this unit compares them with
            the answers it gives now. Empty while the run has no rows of the backbone.
    """

    id: int
    stage: int
    backbone: int
    cells: tuple[int, ...]
    methods: tuple[str, ...]
    images: tuple[ImageRef, ...]
    metrics: tuple[str, ...] = ()
    maps: dict[tuple[int, int], StoredMap] = field(default_factory=dict)
    answers: tuple[StoredAnswer, ...] = ()


class Row(NamedTuple):
    """One image in one cell. Fractions; ``None`` where a metric is undefined.

    Attributes:
        target: class explained; ``predicted``: argmax of the clean image (the same unless
            ``--target label``).
        y, o: probability of the target on the image and on the explanation map.
        coherency: ``None``, and ``adcc`` too, where the method has no map of the explanation image
            (``Method.explains``).
        degenerate: the map is all zero: nothing spoke for the class.
        map: the saliency map at the layer's resolution, float32 little-endian, ``None`` for a fixed
            map.
    """

    cell: int
    image: int
    target: int
    predicted: int
    y: float
    o: float
    average_drop: float | None
    average_increase: float
    coherency: float | None
    complexity: float
    adcc: float | None
    degenerate: bool
    map: bytes | None


class Measurement(NamedTuple):
    """One optional metric of one image in one cell; of a curve the area, and S + 1 points.

    Attributes:
        curve: the points as float16, little-endian; empty where the metric is no curve.
    """

    cell: int
    image: int
    metric: str
    value: float
    curve: bytes = b""


@dataclass(frozen=True, slots=True)
class Failure:
    """One image in one cell that has no value, and why.

    Attributes:
        metric: empty for the row itself, else the optional metric.
        reason: short stable word for grouping; ``detail``: one line for people.
    """

    cell: int
    image: int
    metric: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class UnitResult:
    """The outcome of a unit: rows, measurements and failures cover every (cell, image) of it.

    Attributes:
        notes: lines for the run's history, such as a batch that had to be made smaller.
        contents: image id → sha256 of the file it was decoded from.
    """

    rows: tuple[Row, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0
    forwards: int = 0
    notes: tuple[str, ...] = ()
    contents: dict[int, bytes] = field(default_factory=dict)


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The way from a decoded image to a network's input; by default torchvision's classifiers'.

    Attributes:
        side: height and width of the input in pixels, after the centre crop.
        resize: length of the short side before the crop, in pixels.
        interpolation: of the resizing, with antialias.
        mean, std: normalisation per channel, of pixels in [0, 1].
        channels: 3 for RGB, 1 for grey; others, up to 16, for images that are arrays.
    """

    side: int = 224
    resize: int = 224
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: int = 3


def for_channels(usual: Preprocessing, channels: int) -> Preprocessing:
    """The same for images of so many channels; a grey image gets the mean over the colours."""
    if channels == usual.channels:
        return usual
    mean, std = ((sum(values) / len(values),) * channels for values in (usual.mean, usual.std))
    return replace(usual, mean=mean, std=std, channels=channels)


@dataclass(frozen=True, slots=True)
class LoadedBackbone:
    """A backbone as a worker has loaded it; stored once per run, checked at every later load.

    Attributes:
        weights: for people: ``IMAGENET1K_V1``, ``random:0``, a file name; ``sha256`` over the
            tensors themselves.
        layer: dotted name of the target layer; K ``channels`` of ``height`` × ``width``.
        gap_linear: head is global average pooling and one linear layer.
        classes: class names by index, empty where unknown; ``class_count``: C, 0 in files of
            version 1.
        preprocessing: from a decoded image to the input.
        score: what turns outputs into confidence; ``probability``: they are it.
        cut: ``graph`` or ``hooks``, see ``networks.graph_cut`` and ``networks.target_layer``.
        tokens: prefix tokens before the map's, where the layer gives tokens; ``None`` where it
            gives a feature map.
        source: sha256 of the code or file that built the network, empty for networks known by name.
        attention: how many attention blocks can be looked into, each over the positions of the
            target layer's map.
        transform_input: of torchvision's Inception v3 and GoogLeNet: whether the network
            normalises its input once more, as their published weights need it; ``None`` for
            others, and in files of earlier versions.
        remarks: sentences about the network that every reader of its numbers must be told.
    """

    key: str
    weights: str
    sha256: str
    layer: str
    channels: int
    height: int
    width: int
    gap_linear: bool
    classes: tuple[str, ...]
    preprocessing: Preprocessing = Preprocessing()
    class_count: int = 0
    score: Score = "softmax"
    cut: str = "graph"
    tokens: int | None = None
    source: str = ""
    attention: int = 0
    transform_input: bool | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One (backbone, method) of a run.

    Attributes:
        backbone, method: names as shown, options included where they differ from the defaults.
        applicable: ``False`` where the backbone does not admit the method; ``note`` says why.
        note: also: which cell it equals by construction.
    """

    id: int
    backbone: str
    method: str
    applicable: bool
    note: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of work whose units cost alike: the basis of progress and of the ETA.

    Attributes:
        images: images of the run; ``done``: how many this stage has finished, failures included.
        seconds: worker time spent on ``timed_images`` in this session.
        forwards_per_image: planned network forwards, for the ETA before anything is measured.
    """

    id: int
    title: str
    backbone: str
    cells: tuple[int, ...]
    metrics: tuple[str, ...]
    images: int
    done: int
    seconds: float
    timed_images: int
    forwards_per_image: float


@dataclass(frozen=True, slots=True)
class Look:
    """The decision of a run's rule (``--until``) so far.

    Attributes:
        rule: in words; ``images``: of the seeded order, looked at so far.
        needed: about how many it takes, ``None`` before that can be said.
        decided: after how many images nothing was open any more, ``None`` until then.
        dropped: cell → images after which it was certainly worse than the best, where it is
            computed no further.
        verdicts: what is known of each backbone, one line each.
    """

    rule: str
    images: int
    needed: int | None
    decided: int | None
    dropped: dict[int, int]
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker process as last seen by the driver; figures that its device lacks are ``None``."""

    id: int
    device: str
    pid: int
    state: str
    heartbeat: float
    restarts: int
    utilisation: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    power: float | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the run's history; ``level`` is ``info``, ``warning`` or ``error``."""

    id: int
    time: float
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run as its file tells it; ``store.files`` tells whether its driver is alive.

    Attributes:
        started: of the first session; ``resumed``: of the newest; ``worked``: seconds of those
            before it.
    """

    name: str
    state: RunState
    message: str
    created: float
    started: float | None
    finished: float | None
    heartbeat: float | None
    pid: int | None
    host: str
    image_count: int
    versions: dict[str, str]
    worked: float = 0.0
    resumed: float | None = None

"""The stages of a run: cheap methods first, optional metrics after their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from evaluator import catalog
from evaluator.backbones import BackboneSpec, known_backbone
from evaluator.methods.base import ImageMethod
from evaluator.plan import RunPlan
from evaluator.records import Cell, LoadedBackbone, Stage

_UNKNOWN_CHANNELS = 1024

_LARGEST_UNIT = {("cuda", False): 256, ("cuda", True): 64, ("cpu", False): 16, ("cpu", True): 4}
"""Kind of device, and whether curves are measured → most images in a unit."""


@dataclass(frozen=True)
class StagePlan:
    """A stage: cells of one backbone whose units cost alike.

    Attributes:
        backbone: position in the plan.
        cells: ids of the applicable cells; ``methods`` in the same order.
        metrics: the optional ones; empty for rows.
        block: images in a unit.
        base: for curves: the stage whose rows they need.
    """

    id: int
    title: str
    backbone: int
    backbone_name: str
    cells: tuple[int, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    block: int
    base: int | None
    forwards_per_image: float

    def record(self, images: int) -> Stage:
        """The stage as it is stored, nothing timed."""
        return Stage(
            id=self.id,
            title=self.title,
            backbone=self.backbone_name,
            cells=self.cells,
            metrics=self.metrics,
            images=images,
            done=0,
            seconds=0.0,
            timed_images=0,
            forwards_per_image=self.forwards_per_image,
        )


def with_timings(stages: Iterable[Stage], before: Iterable[Stage]) -> list[Stage]:
    """Take over the times of stages that were complete before, since they are not timed again.

    A stage that has images left is timed anew: this session may have other devices.
    """
    done = {(one.backbone, one.cells, one.metrics): one for one in before if one.done >= one.images}
    timed = []
    for stage in stages:
        known = done.get((stage.backbone, stage.cells, stage.metrics))
        if known:
            stage = replace(stage, seconds=known.seconds, timed_images=known.timed_images)
        timed.append(stage)
    return timed


def block_size(forwards: float, *, curves: bool, cuda: bool) -> int:
    """Images in a unit: a power of two, by the stage's cost and the kind of device alone.

    A unit should take seconds: long enough that handing it out costs nothing, short enough that
    little is lost with a worker.
    """
    budget = 65_536 if cuda else 256
    largest = _LARGEST_UNIT["cuda" if cuda else "cpu", curves]
    size = 1
    while size < largest and 2 * size * forwards <= budget:
        size *= 2
    return size


def plan_stages(
    plan: RunPlan, cells: Iterable[Cell], loaded: dict[str, LoadedBackbone | None], *, cuda: bool
) -> list[StagePlan]:
    """The stages of a run: cheap methods of every backbone first, then each expensive method.

    Optional metrics follow the rows of their stage. Number and order of the stages depend on the
    plan alone, so that a stage keeps its id when loading a backbone shows that some of its cells do
    not apply.
    """
    by_backbone: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_backbone[cell.backbone].append(cell)
    cheap: list[_Draft] = []
    costly: list[_Draft] = []
    for position, spec in enumerate(plan.backbones):
        of_backbone = by_backbone[spec.name]
        shared = [cell for cell in of_backbone if not _stands_alone(cell)]
        if shared:
            cheap.append(_draft(position, spec, shared, loaded))
        costly += [
            _draft(position, spec, [cell], loaded) for cell in of_backbone if cell not in shared
        ]
    costly.sort(key=lambda draft: draft.planned_cost)
    return [
        *_numbered(cheap, plan, 1, cuda=cuda),
        *_numbered(costly, plan, 1 + len(cheap) * _kinds(plan), cuda=cuda),
    ]


def _stands_alone(cell: Cell) -> bool:
    """Whether a cell is a stage of its own: its forwards would shrink the units of all others."""
    method = catalog.method(cell.method)
    return method.masks_channels or isinstance(method, ImageMethod)


def _kinds(plan: RunPlan) -> int:
    return 2 if plan.optional_metrics else 1


def _titles(cells: list[Cell]) -> str:
    if len(cells) > 3:
        return f"{len(cells)} methods"
    titles = [catalog.method(cell.method).title for cell in cells]
    options = [cell.method[len(catalog.key_of(cell.method)) + 1 :] for cell in cells]
    return ", ".join(
        f"{title} {given}" if given and titles.count(title) > 1 else title
        for title, given in zip(titles, options, strict=True)
    )


class Head(NamedTuple):
    """The properties of a backbone on which the number of forwards depends.

    Attributes:
        channels: K of the target layer.
        gap_linear: the head is global average pooling and one linear layer.
    """

    channels: int
    gap_linear: bool


def head_of(key: str, loaded: LoadedBackbone | None) -> Head:
    """The head of a backbone, as loaded, else as its family describes it."""
    known = known_backbone(key)
    gap_linear = loaded.gap_linear if loaded else bool(known.gap_linear)
    return Head((loaded.channels if loaded else known.channels) or _UNKNOWN_CHANNELS, gap_linear)


def optional_forwards(plan: RunPlan, head: Head, wanted: Iterable[tuple[str, str, int]]) -> float:
    """Forwards that optional metrics take.

    Args:
        wanted: method, metric and on how many images. A method's other maps are made once for all
            metrics, the pass that they are made from once for all methods.
    """
    total = 0.0
    shared: dict[str, float] = defaultdict(float)
    again: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for method, key, images in wanted:
        metric = catalog.metric(key)
        total += images * metric.forwards_of_map(plan.curve_steps)
        for kind, times in (
            ("contrast", metric.contrast),
            ("altered", metric.again),
            ("random weights", metric.random_weights),
        ):
            again[kind][method] = max(again[kind][method], images * times)
            shared[kind] = max(shared[kind], images * times)
    for maps in again.values():
        for method, count in maps.items():
            forwards = catalog.method(method).forwards(head.channels, head.gap_linear)
            total += count * (forwards - 1) / 2  # x and x ⊙ U cost the same
    return total + sum(shared.values())


def _metric_titles(keys: Sequence[str]) -> str:
    if len(keys) > 3:
        return f"{len(keys)} metrics"
    return " and ".join(catalog.metric(key).title for key in keys)


@dataclass(frozen=True)
class _Draft:
    """A stage that has no number yet."""

    position: int
    key: str
    backbone: str
    title: str
    cells: list[Cell]
    loaded: LoadedBackbone | None

    @property
    def applicable(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.applicable]

    @property
    def forwards(self) -> float:
        """Forwards for an image: the clean pass, and those of every distinct map once."""
        head = self.head
        methods = [catalog.method(cell.method) for cell in self.applicable]
        distinct = {method.map_identity(head.gap_linear): method for method in methods}
        return float(
            1 + sum(method.forwards(head.channels, head.gap_linear) for method in distinct.values())
        )

    @property
    def head(self) -> Head:
        """The head, as far as it is known."""
        return head_of(self.key, self.loaded)

    @property
    def planned_cost(self) -> float:
        """Forwards by the catalog alone: the order of stages must not change with a load."""
        known = replace(
            self, loaded=None, cells=[replace(cell, applicable=True) for cell in self.cells]
        )
        return known.forwards


def _draft(
    position: int,
    spec: BackboneSpec,
    cells: list[Cell],
    loaded: dict[str, LoadedBackbone | None],
) -> _Draft:
    return _Draft(
        position=position,
        key=spec.key,
        backbone=spec.name,
        title=f"{spec.name} · {_titles(cells)}",
        cells=cells,
        loaded=loaded.get(spec.name),
    )


def _numbered(
    drafts: list[_Draft], plan: RunPlan, first: int, *, cuda: bool
) -> Iterator[StagePlan]:
    """Rows of every draft, then their optional metrics, of every draft."""
    for number, draft in enumerate(drafts, first):
        size = block_size(draft.forwards, curves=False, cuda=cuda)
        yield _stage(draft, id_=number, title=draft.title, block=size, forwards=draft.forwards)
    if not plan.optional_metrics:
        return
    names = _metric_titles(plan.optional_metrics)
    looks = any(catalog.metric(key).pixels for key in plan.optional_metrics)
    for number, draft in enumerate(drafts, first):
        everything = [
            (cell.method, key, 1) for cell in draft.applicable for key in plan.optional_metrics
        ]
        forwards = optional_forwards(plan, draft.head, everything)
        size = block_size(forwards, curves=looks, cuda=cuda)
        yield _stage(
            draft,
            id_=number + len(drafts),
            title=f"{draft.title} · {names}",
            metrics=plan.optional_metrics,
            block=size,
            base=number,
            forwards=forwards,
        )


def _stage(
    draft: _Draft,
    *,
    id_: int,
    title: str,
    block: int,
    forwards: float,
    metrics: tuple[str, ...] = (),
    base: int | None = None,
) -> StagePlan:
    cells = draft.applicable
    return StagePlan(
        id=id_,
        title=title,
        backbone=draft.position,
        backbone_name=draft.backbone,
        cells=tuple(cell.id for cell in cells),
        methods=tuple(cell.method for cell in cells),
        metrics=metrics,
        block=block,
        base=base,
        forwards_per_image=forwards,
    )

"""What is to be computed next: derived from the run's file, cheap first, in blocks that are always cut alike."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from evaluator import catalog
from evaluator.plan import RunPlan
from evaluator.records import Cell, ImageRef, LoadedBackbone, Stage, StoredMap, Unit
from evaluator.store.reader import RunReader

CHUNK = 1024
"""Images whose finished cells are looked up at once; a multiple of every block size."""

_UNKNOWN_CHANNELS = 1024


@dataclass(frozen=True)
class StagePlan:
    """A stretch of work whose units cost alike.

    Attributes:
        backbone: position in the plan; ``cells`` and ``methods`` in step, applicable ones only.
        metrics: curve metrics; empty for rows.
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
        """As it is stored."""
        return Stage(
            self.id, self.title, self.backbone_name, self.cells, self.metrics, images, 0, 0.0, 0, self.forwards_per_image
        )


def block_size(forwards: float, *, curves: bool, cuda: bool) -> int:
    """Images in a unit: a power of two, a function of the stage's cost and of the kind of device alone.

    A unit should take seconds: long enough that handing it out costs nothing, short enough that little is lost with a worker.
    """
    budget = 65_536 if cuda else 256
    largest = (64 if curves else 256) if cuda else (4 if curves else 16)
    size = 1
    while size < largest and 2 * size * forwards <= budget:
        size *= 2
    return size


def plan_stages(plan: RunPlan, cells: Iterable[Cell], loaded: dict[str, LoadedBackbone | None], *, cuda: bool) -> list[StagePlan]:
    """The stages of a run: cheap methods of every backbone, their curves, then each expensive method, then its curves.

    Their number and order depend on the plan alone, so that a stage keeps its id when loading a backbone shows that some of its
    cells do not apply.
    """
    by_backbone: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_backbone[cell.backbone].append(cell)
    cheap: list[_Draft] = []
    costly: list[_Draft] = []
    for position, spec in enumerate(plan.backbones):
        of_backbone = by_backbone[spec.name]
        shared = [cell for cell in of_backbone if not catalog.method(cell.method).masks_channels]
        if shared:
            cheap.append(_Draft(position, spec.name, f"{spec.name} · {_titles(shared)}", shared, loaded.get(spec.name)))
        for cell in of_backbone:
            if cell not in shared:
                costly.append(_Draft(position, spec.name, f"{spec.name} · {_titles([cell])}", [cell], loaded.get(spec.name)))
    costly.sort(key=lambda draft: draft.planned_cost)
    return [*_numbered(cheap, plan, 1, cuda=cuda), *_numbered(costly, plan, 1 + len(cheap) * _kinds(plan), cuda=cuda)]


def _kinds(plan: RunPlan) -> int:
    return 2 if plan.curves else 1


def _titles(cells: list[Cell]) -> str:
    if len(cells) > 3:
        return f"{len(cells)} methods"
    return ", ".join(catalog.method(cell.method).title for cell in cells)


@dataclass(frozen=True)
class _Draft:
    """The cells of a stage before it has a number."""

    position: int
    backbone: str
    title: str
    cells: list[Cell]
    loaded: LoadedBackbone | None

    @property
    def applicable(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.applicable]

    @property
    def forwards(self) -> float:
        """Per image: the clean pass, and every distinct map once."""
        known = catalog.backbone(self.backbone.partition(":")[0])
        gap_linear = self.loaded.gap_linear if self.loaded else bool(known.gap_linear)
        channels = (self.loaded.channels if self.loaded else known.channels) or _UNKNOWN_CHANNELS
        methods = [catalog.method(cell.method) for cell in self.applicable]
        distinct = {method.map_identity(gap_linear): method for method in methods}
        return float(1 + sum(method.forwards(channels, gap_linear) for method in distinct.values()))

    @property
    def planned_cost(self) -> float:
        """The order of expensive stages, by what the catalog knows: it must not change when the backbone is loaded."""
        known = replace(self, loaded=None, cells=[replace(cell, applicable=True) for cell in self.cells])
        return known.forwards


def _numbered(drafts: list[_Draft], plan: RunPlan, first: int, *, cuda: bool) -> Iterator[StagePlan]:
    """Rows of every draft, then the curves of every draft."""
    for number, draft in enumerate(drafts, first):
        size = block_size(draft.forwards, curves=False, cuda=cuda)
        yield _stage(draft, number, draft.title, (), size, None, draft.forwards)
    if not plan.curves:
        return
    names = " and ".join(catalog.metric(key).title for key in plan.curves)
    for number, draft in enumerate(drafts, first):
        forwards = float((plan.curve_steps - 1) * len(plan.curves) * len(draft.applicable))
        size = block_size(forwards, curves=True, cuda=cuda)
        title = f"{draft.title} · {names}"
        yield _stage(draft, number + len(drafts), title, plan.curves, size, number, forwards)


def _stage(
    draft: _Draft, number: int, title: str, metrics: tuple[str, ...], block: int, base: int | None, forwards: float
) -> StagePlan:
    cells = draft.applicable
    return StagePlan(
        number, title, draft.position, draft.backbone, tuple(cell.id for cell in cells), tuple(cell.method for cell in cells),
        metrics, block, base, forwards,
    )  # fmt: skip


class Schedule:
    """Hands out units, knows which are in flight, and takes lost ones back."""

    def __init__(self, reader: RunReader, stages: list[StagePlan], images: int) -> None:
        """The reader looks at a run whose images and cells are all stored."""
        self._reader = reader
        self._images = images
        self._ids = count(1)
        self._returned: deque[Unit] = deque()
        self._cuts: dict[int, Iterator[Unit]] = {}
        self._exhausted: set[int] = set()
        self.stages = {stage.id: stage for stage in stages}
        self.in_flight: dict[int, Unit] = {}

    def replace_stage(self, stage: StagePlan) -> None:
        """Another set of cells for a stage of which nothing has been handed out yet."""
        self.stages[stage.id] = stage

    def skip_backbone(self, position: int) -> None:
        """Hand out nothing more of a backbone that cannot be loaded."""
        self._exhausted.update(stage.id for stage in self.stages.values() if stage.backbone == position)
        self._returned = deque(unit for unit in self._returned if unit.backbone != position)

    def probe(self, position: int) -> Unit:
        """A unit without images: it loads the backbone and does nothing else."""
        unit = Unit(next(self._ids), 0, position, (), (), ())
        self.in_flight[unit.id] = unit
        return unit

    def next_unit(self, loaded: set[int]) -> Unit | None:
        """The next unit of a backbone that has been loaded once, ``None`` where there is none now."""
        unit = self._take_returned(loaded) or self._cut_next(loaded)
        if unit is not None:
            self.in_flight[unit.id] = unit
        return unit

    def needed_backbone(self, loaded: set[int]) -> int | None:
        """The backbone of the next stage with work in it, where that backbone has not been loaded yet."""
        for stage in self._open_stages():
            if stage.backbone in loaded:
                return None
            if next(self._pending_chunks(stage), None) is not None:
                return stage.backbone
            self._exhausted.add(stage.id)
        return None

    def finish(self, unit_id: int) -> Unit | None:
        """A unit is done; ``None`` where it had been taken back before."""
        return self.in_flight.pop(unit_id, None)

    def give_back(self, units: Iterable[Unit]) -> list[Unit]:
        """Lost units, whole or in parts, to be handed out again under other ids; they come before anything new."""
        renewed = [replace(unit, id=next(self._ids)) for unit in units]
        self._returned.extend(renewed)
        return renewed

    @property
    def busy(self) -> bool:
        """Whether something is in flight or waits to be handed out again."""
        return bool(self.in_flight or self._returned)

    def _take_returned(self, loaded: set[int]) -> Unit | None:
        for unit in self._returned:
            if unit.backbone in loaded:
                self._returned.remove(unit)
                return unit
        return None

    def _cut_next(self, loaded: set[int]) -> Unit | None:
        for stage in self._open_stages():
            if stage.backbone not in loaded:
                return None
            unit = next(self._cuts.setdefault(stage.id, self._units(stage)), None)
            if unit is not None:
                return unit
            self._exhausted.add(stage.id)
        return None

    def _open_stages(self) -> Iterator[StagePlan]:
        """Stages from which units can be cut now, in order."""
        return (stage for stage in self.stages.values() if stage.id not in self._exhausted and not self._must_wait(stage))

    def ended(self, stage_id: int) -> bool:
        """Whether every unit of the stage is done."""
        return stage_id in self._exhausted and not self._outstanding(stage_id)

    def _must_wait(self, stage: StagePlan) -> bool:
        """Curves begin when the rows that they need are all there."""
        if stage.base is None:
            return False
        return not self.ended(stage.base)

    def _outstanding(self, stage_id: int) -> bool:
        return any(unit.stage == stage_id for unit in (*self.in_flight.values(), *self._returned))

    def _units(self, stage: StagePlan) -> Iterator[Unit]:
        for pending in self._pending_chunks(stage):
            for first in sorted({image // stage.block * stage.block for image in pending}):
                yield from self._block(stage, first, pending)

    def _pending_chunks(self, stage: StagePlan) -> Iterator[dict[int, tuple[tuple[int, str], ...]]]:
        """Image → the (cell, metric) pairs that it lacks, chunk by chunk, complete images and chunks left out."""
        metrics = stage.metrics or ("",)
        for first in range(0, self._images, CHUNK):
            last = min(first + CHUNK, self._images) - 1
            missing: dict[int, list[tuple[int, str]]] = defaultdict(list)
            for metric in metrics:
                finished = self._reader.finished(stage.cells, metric, first, last)
                for cell in stage.cells:
                    for image in range(first, last + 1):
                        if (cell, image) not in finished:
                            missing[image].append((cell, metric))
            if missing:
                yield {image: tuple(pairs) for image, pairs in missing.items()}

    def _block(self, stage: StagePlan, first: int, pending: dict[int, tuple[tuple[int, str], ...]]) -> Iterator[Unit]:
        """The units of the images ``[first, first + block)``: images that lack the same are computed together."""
        last = first + stage.block - 1
        maps = self._reader.stored_maps(stage.cells, first, last) if stage.metrics else {}
        groups: dict[tuple[tuple[int, ...], tuple[str, ...]], list[ImageRef]] = defaultdict(list)
        for image in self._reader.images(first, last):
            for cells, metrics in _alike(pending.get(image.id, ())):
                if stage.metrics:
                    cells = tuple(cell for cell in cells if (cell, image.id) in maps)
                if cells:
                    groups[cells, metrics].append(image)
        for (cells, metrics), images in groups.items():
            yield self._unit(stage, cells, metrics, images, maps)

    def _unit(
        self,
        stage: StagePlan,
        cells: tuple[int, ...],
        metrics: tuple[str, ...],
        images: list[ImageRef],
        maps: dict[tuple[int, int], StoredMap],
    ) -> Unit:
        method_of = dict(zip(stage.cells, stage.methods, strict=True))
        needed = {(cell, image.id): maps[cell, image.id] for cell in cells for image in images} if stage.metrics else {}
        return Unit(
            next(self._ids), stage.id, stage.backbone, cells, tuple(method_of[cell] for cell in cells), tuple(images),
            tuple(filter(None, metrics)), needed,
        )  # fmt: skip


def _alike(pairs: Iterable[tuple[int, str]]) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Missing (cell, metric) pairs of one image as (cells, metrics) where all those cells lack all those metrics."""
    metrics_of: dict[int, list[str]] = defaultdict(list)
    for cell, metric in pairs:
        metrics_of[cell].append(metric)
    cells_of: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for cell, metrics in metrics_of.items():
        cells_of[tuple(metrics)].append(cell)
    return [(tuple(cells), metrics) for metrics, cells in cells_of.items()]

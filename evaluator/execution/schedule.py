"""The schedule: cuts units from what the run's file lacks of the first open slice."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from evaluator import catalog
from evaluator.execution.stages import StagePlan, head_of, optional_forwards, plan_stages
from evaluator.plan import RunPlan
from evaluator.records import Cell, ImageRef, LoadedBackbone, StoredAnswer, StoredMap, Unit
from evaluator.store.queries import StoredMaps
from evaluator.store.reader import RunReader

ROUND = 64
"""Images of the first round: as many as a rule needs before its first look, in whole units."""


class StageSlice(NamedTuple):
    """The images ``first`` to ``end - 1`` of one stage."""

    stage: int
    first: int
    end: int


def stage_by_stage(stages: Sequence[StagePlan], images: int) -> list[StageSlice]:
    """Let every stage take all images before the next begins."""
    return [StageSlice(stage.id, 0, images) for stage in stages]


def round_by_round(stages: Sequence[StagePlan], images: int) -> list[StageSlice]:
    """Let all stages that compute rows take the images of one round before those of the next.

    Stages that measure from rows come at the end. A method is thus never more than one round, an
    eighth of the images so far, ahead of another: for runs that a rule may end.
    """
    rows = [stage for stage in stages if stage.base is None]
    rest = [stage for stage in stages if stage.base is not None]
    in_rounds = [
        StageSlice(stage.id, first, end) for first, end in rounds(images) for stage in rows
    ]
    return [*in_rounds, *stage_by_stage(rest, images)]


def rounds(images: int) -> Iterator[tuple[int, int]]:
    """Yield first and end of each round: 64 images at first, later an eighth of those before it."""
    first = 0
    while first < images:
        end = first + max(ROUND, first // 8 // ROUND * ROUND)
        yield first, min(end, images)
        first = end


class Remaining(NamedTuple):
    """A stage, the images that some of its cells lack, and the forwards that these take.

    Attributes:
        by_method: images that each method lacks.
    """

    stage: StagePlan
    images: int
    forwards: float
    by_method: dict[str, int]


def remaining_work(
    plan: RunPlan,
    cells: Sequence[Cell],
    loaded: dict[str, LoadedBackbone | None],
    done: Mapping[tuple[int, str], int],
    *,
    images: int,
    cuda: bool,
) -> list[Remaining]:
    """Every stage that has cells, with the work that is left in it.

    Args:
        plan: as it will be.
        cells: of that plan.
        loaded: backbones that have been loaded once.
        done: (cell, metric) → images with a value or a failure; metric ``''`` for rows
            (``RunReader.done``).
        images: of that plan.
        cuda: the kind of device, which decides how large a unit is.
    """
    work = _Work(plan, cells, loaded, done, images=images, cuda=cuda)
    return [
        work.remaining(stage)
        for stage in plan_stages(plan, cells, loaded, cuda=cuda)
        if stage.cells
    ]


@dataclass(frozen=True)
class _Work:
    """The arguments of ``remaining_work``, and the work left in a stage by them."""

    plan: RunPlan
    cells: Sequence[Cell]
    loaded: dict[str, LoadedBackbone | None]
    done: Mapping[tuple[int, str], int]
    images: int
    cuda: bool

    def remaining(self, stage: StagePlan) -> Remaining:
        by_method = {
            method: max(self._left(cell, metric) for metric in stage.metrics or ("",))
            for cell, method in zip(stage.cells, stage.methods, strict=True)
        }
        forwards = self._of_optional(stage) if stage.metrics else self._of_rows(stage)
        return Remaining(stage, max(by_method.values()), forwards, by_method)

    def _left(self, cell: int, metric: str) -> int:
        return max(0, self.images - self.done.get((cell, metric), 0))

    def _of_rows(self, stage: StagePlan) -> float:
        """Forwards of rows: the images that a cell lacks are the last ones of one order."""
        forwards, before = 0.0, 0
        for missing in sorted({self._left(cell, "") for cell in stage.cells}):
            still = [
                cell
                for cell in self.cells
                if cell.id in stage.cells and self._left(cell.id, "") >= missing
            ]
            stages = plan_stages(self.plan, still, self.loaded, cuda=self.cuda)
            (shared,) = (one for one in stages if one.cells and not one.metrics)
            forwards += (missing - before) * shared.forwards_per_image
            before = missing
        return forwards

    def _of_optional(self, stage: StagePlan) -> float:
        """Forwards of optional metrics."""
        wanted = [
            (method, metric, self._left(cell, metric))
            for cell, method in zip(stage.cells, stage.methods, strict=True)
            for metric in stage.metrics
        ]
        key = self.plan.backbones[stage.backbone].key
        head = head_of(key, self.loaded.get(stage.backbone_name))
        return optional_forwards(self.plan, head, wanted)


COMPARED = 8
"""Images of a backbone whose answers are compared: a forward each, when a process loads it."""

_FIRST = 4
"""Of the seeded order; the others are spread over all images that have rows."""


class StoredAnswers:
    """Answers of a run's backbones as they are stored; of rows whose checksums are theirs."""

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._known: dict[int, tuple[StoredAnswer, ...]] = {}

    def of(self, position: int, cells: Iterable[int]) -> tuple[StoredAnswer, ...]:
        """Answers to at most ``COMPARED`` images, every cell's; asked again while there are fewer.

        Args:
            position: of the backbone in the plan; ``cells``: all of it.
        """
        known = self._known.get(position, ())
        if len({answer.image.id for answer in known}) < COMPARED:
            known = self._known[position] = self._find(sorted(cells))
        return known

    def _find(self, cells: Sequence[int]) -> tuple[StoredAnswer, ...]:
        last = self._reader.rows.last_image(cells)
        if last is None:
            return ()
        spread = {place * last // (2 * COMPARED) for place in range(2 * COMPARED + 1)}
        rows = self._reader.rows.sound(cells, sorted({*range(min(_FIRST, last + 1)), *spread}))
        having = sorted({row.image for row in rows})
        rest = having[_FIRST:]
        more = min(len(rest), COMPARED - _FIRST)
        chosen = {*having[:_FIRST], *(rest[-1 - k * (len(rest) - 1) // more] for k in range(more))}
        answers = {(row.image, row.target, row.predicted, row.y) for row in rows}
        images = {image: self._reader.images.get(image) for image in chosen}
        return tuple(
            StoredAnswer(images[image], target, predicted, y)
            for image, target, predicted, y in sorted(answers)
            if image in chosen
        )


CHUNK = 1024
"""Images whose finished cells are looked up at once; a multiple of every block size."""

_NO_MAPS = StoredMaps({}, frozenset())


class Schedule:
    """Hands out units, and requeues those that are lost.

    Attributes:
        stages: by id.
        in_flight: units that are handed out, by id.
    """

    def __init__(
        self, reader: RunReader, stages: list[StagePlan], images: int, *, in_rounds: bool = False
    ) -> None:
        """Nothing is handed out yet.

        Args:
            reader: of a run whose images and cells are all stored.
            stages: in order.
            images: of the run.
            in_rounds: the run may end early: all stages keep pace with each other.
        """
        self._reader = reader
        self._answers = StoredAnswers(reader)
        self._images = images
        self._dropped: Container[int] = ()
        self._ids = count(1)
        self._requeued: deque[Unit] = deque()
        self._slices = (round_by_round if in_rounds else stage_by_stage)(stages, images)
        self._left = Counter(slice_.stage for slice_ in self._slices)
        self._cuts: dict[StageSlice, Iterator[Unit]] = {}
        self._exhausted: set[StageSlice] = set()
        self._skipped: set[int] = set()
        self.stages = {stage.id: stage for stage in stages}
        self.in_flight: dict[int, Unit] = {}

    def replace_stage(self, stage: StagePlan) -> None:
        """Change the cells of a stage of which nothing has been handed out yet."""
        self.stages[stage.id] = stage

    def skip_backbone(self, position: int) -> None:
        """Hand out nothing more of a backbone that cannot be loaded."""
        self._skipped.add(position)
        for slice_ in self._slices:
            if self.stages[slice_.stage].backbone == position:
                self._exhaust(slice_)
        self._requeued = deque(unit for unit in self._requeued if unit.backbone != position)

    def reopen(self) -> None:
        """Cut units anew from what the file lacks now; nothing may be in flight."""
        self._exhausted.clear()
        self._cuts.clear()
        self._left = Counter(slice_.stage for slice_ in self._slices)
        for position in self._skipped:
            self.skip_backbone(position)

    def end_at(self, images: int) -> None:
        """End the run after so many images; units of later ones in flight are not waited for."""
        self._images = images
        self._forget_what_is_not_wanted()
        for slice_ in self._slices:
            if next(self._pending_chunks(self.stages[slice_.stage], slice_), None) is None:
                self._exhaust(slice_)

    def drop(self, cells: Container[int]) -> None:
        """Hand out nothing more of these cells; their units in flight are not waited for."""
        self._dropped = cells
        self._forget_what_is_not_wanted()

    def _forget_what_is_not_wanted(self) -> None:
        self._requeued = deque(wanted for unit in self._requeued if (wanted := self._wanted(unit)))
        self.in_flight = {
            id_: unit
            for id_, unit in self.in_flight.items()
            if not unit.images or self._wanted(unit)
        }

    def _wanted(self, unit: Unit) -> Unit | None:
        """The part of a unit that is still to be computed; ``None`` where nothing of it is."""
        images = tuple(image for image in unit.images if image.id < self._images)
        kept = [place for place, cell in enumerate(unit.cells) if cell not in self._dropped]
        if not images or not kept:
            return None
        if len(images) == len(unit.images) and len(kept) == len(unit.cells):
            return unit
        cells = tuple(unit.cells[place] for place in kept)
        maps = {
            (cell, image): map_
            for (cell, image), map_ in unit.maps.items()
            if cell in cells and image < self._images
        }
        return replace(
            unit,
            images=images,
            cells=cells,
            methods=tuple(unit.methods[place] for place in kept),
            maps=maps,
        )

    def probe(self, position: int) -> Unit:
        """A unit without images, which loads the backbone and does nothing else."""
        unit = Unit(
            id=next(self._ids),
            stage=0,
            backbone=position,
            cells=(),
            methods=(),
            images=(),
            answers=self._answers_of(position),
        )
        self.in_flight[unit.id] = unit
        return unit

    def _answers_of(self, position: int) -> tuple[StoredAnswer, ...]:
        stages = [stage for stage in self.stages.values() if stage.backbone == position]
        return self._answers.of(position, {cell for stage in stages for cell in stage.cells})

    def next_unit(
        self, loaded: set[int], takes: Callable[[Unit], bool] = lambda _: True
    ) -> Unit | None:
        """The next unit of a backbone that has been loaded once, ``None`` where there is none now.

        Args:
            takes: whether a unit that was lost may be handed out again now.
        """
        unit = self._take_requeued(loaded, takes) or self._cut_next(loaded)
        if unit is not None:
            self.in_flight[unit.id] = unit
        return unit

    def needed_backbone(self, loaded: set[int]) -> int | None:
        """The backbone of the next stage with work left, if it has not been loaded yet."""
        for slice_ in self._open_slices():
            stage = self.stages[slice_.stage]
            if stage.backbone in loaded:
                return None
            if next(self._pending_chunks(stage, slice_), None) is not None:
                return stage.backbone
            self._exhaust(slice_)
        return None

    def finish(self, unit_id: int) -> Unit | None:
        """Take a unit out of those in flight; ``None`` where it is not among them any more."""
        return self.in_flight.pop(unit_id, None)

    def requeue(self, units: Iterable[Unit]) -> list[Unit]:
        """Hand units, whole or in parts, out again under other ids, before anything else.

        What was halved last comes first: so one pair is found before others are looked for.
        """
        renewed = [replace(unit, id=next(self._ids)) for unit in units]
        self._requeued.extendleft(reversed(renewed))
        return renewed

    @property
    def busy(self) -> bool:
        """Whether something is in flight or waits to be handed out again."""
        return bool(self.in_flight or self._requeued)

    def _take_requeued(self, loaded: set[int], takes: Callable[[Unit], bool]) -> Unit | None:
        for unit in [unit for unit in self._requeued if unit.backbone in loaded and takes(unit)]:
            self._requeued.remove(unit)
            if wanted := self._wanted(unit):
                return wanted
        return None

    def _cut_next(self, loaded: set[int]) -> Unit | None:
        for slice_ in self._open_slices():
            stage = self.stages[slice_.stage]
            if stage.backbone not in loaded:
                return None
            for unit in self._cuts.setdefault(slice_, self._units(stage, slice_)):
                if wanted := self._wanted(unit):
                    return wanted
            self._exhaust(slice_)
        return None

    def _open_slices(self) -> Iterator[StageSlice]:
        """The slices from which units can be cut now, in order."""
        return (
            slice_
            for slice_ in self._slices
            if slice_ not in self._exhausted and not self._must_wait(self.stages[slice_.stage])
        )

    def _exhaust(self, slice_: StageSlice) -> None:
        if slice_ not in self._exhausted:
            self._exhausted.add(slice_)
            self._left[slice_.stage] -= 1

    def ended(self, stage_id: int) -> bool:
        """Whether every unit of the stage is done."""
        return not self._left[stage_id] and not self._outstanding(stage_id)

    def _must_wait(self, stage: StagePlan) -> bool:
        """Whether a stage waits for rows: what is measured from them begins when all are there."""
        if stage.base is None:
            return False
        return not self.ended(stage.base)

    def _outstanding(self, stage_id: int) -> bool:
        return any(unit.stage == stage_id for unit in (*self.in_flight.values(), *self._requeued))

    def _units(self, stage: StagePlan, slice_: StageSlice) -> Iterator[Unit]:
        for pending in self._pending_chunks(stage, slice_):
            for first in sorted({image // stage.block * stage.block for image in pending}):
                yield from self._block(stage, first, pending)

    def _pending_chunks(
        self, stage: StagePlan, slice_: StageSlice
    ) -> Iterator[dict[int, tuple[tuple[int, str], ...]]]:
        """Yield image → the (cell, metric) pairs that it lacks, chunk by chunk, if it lacks any."""
        metrics = stage.metrics or ("",)
        cells = [cell for cell in stage.cells if cell not in self._dropped]
        end = min(slice_.end, self._images)
        for first in range(slice_.first, end, CHUNK):
            last = min(first + CHUNK, end) - 1
            missing: dict[int, list[tuple[int, str]]] = defaultdict(list)
            for metric in metrics:
                finished = self._reader.rows.finished(cells, metric, first, last)
                for cell in cells:
                    for image in range(first, last + 1):
                        if (cell, image) not in finished:
                            missing[image].append((cell, metric))
            if missing:
                yield {image: tuple(pairs) for image, pairs in missing.items()}

    def _block(
        self, stage: StagePlan, first: int, pending: dict[int, tuple[tuple[int, str], ...]]
    ) -> Iterator[Unit]:
        """Yield the units of the images ``[first, first + block)``, by the pairs that they lack.

        A row that is not what was written stays in the unit without its map: nothing is computed
        from it, and it is reported.
        """
        last = first + stage.block - 1
        sources = catalog.sources_of(stage.metrics)
        maps, damaged = (
            self._reader.rows.stored_maps(stage.cells, first, last, sources)
            if stage.metrics
            else _NO_MAPS
        )
        groups: dict[tuple[tuple[int, ...], tuple[str, ...]], list[ImageRef]] = defaultdict(list)
        for image in self._reader.images.between(first, last):
            for cells, metrics in _alike(pending.get(image.id, ())):
                if stage.metrics:
                    cells = tuple(
                        cell
                        for cell in cells
                        if (cell, image.id) in maps or (cell, image.id) in damaged
                    )
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
        pairs = [(cell, image.id) for cell in cells for image in images]
        needed = {pair: maps[pair] for pair in pairs if pair in maps}
        return Unit(
            id=next(self._ids),
            stage=stage.id,
            backbone=stage.backbone,
            cells=cells,
            methods=tuple(method_of[cell] for cell in cells),
            images=tuple(images),
            metrics=tuple(filter(None, metrics)),
            maps=needed,
            answers=self._answers_of(stage.backbone),
        )


def _alike(pairs: Iterable[tuple[int, str]]) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Group the missing (cell, metric) pairs of one image: cells that lack the same metrics."""
    metrics_of: dict[int, list[str]] = defaultdict(list)
    for cell, metric in pairs:
        metrics_of[cell].append(metric)
    cells_of: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for cell, metrics in metrics_of.items():
        cells_of[tuple(metrics)].append(cell)
    return [(tuple(cells), metrics) for metrics, cells in cells_of.items()]

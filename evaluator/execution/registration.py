"""A loaded backbone is registered: its facts, its labels, its cells, and which are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluator import catalog
from evaluator.errors import (
    ANSWERS_OTHERWISE,
    CamtuiError,
    Mismatch,
    RunFailed,
)
from evaluator.execution.journal import Journal
from evaluator.execution.labelling import RunLabels
from evaluator.execution.looks import EarlyEnd
from evaluator.execution.schedule import Schedule
from evaluator.execution.stages import plan_stages
from evaluator.images import Manifest
from evaluator.interfaces import Error, Ready
from evaluator.methods.base import Method
from evaluator.plan import RunPlan, applicable, cell_identity
from evaluator.records import Cell, LoadedBackbone, Unit
from evaluator.store.reader import RunReader


class Described(NamedTuple):
    """One cell of a loaded backbone: its identity, whether it applies, and a note for people."""

    cell: int
    identity: str
    applicable: bool
    note: str


def describe_cells(
    plan: RunPlan, cells: Sequence[Cell], loaded: LoadedBackbone
) -> Iterator[Described]:
    """Describe every cell of one backbone."""
    specs = {spec.name: spec for spec in plan.backbones}
    methods = {cell.id: catalog.method(cell.method) for cell in cells}
    possible = [
        method
        for method in methods.values()
        if applicable(method, loaded.gap_linear, loaded.attention > 0)
    ]
    for cell in cells:
        method = methods[cell.id]
        applies = method in possible
        note = (
            _equal_to(method, possible, loaded.gap_linear)
            if applies
            else f"{method.title} needs {method.needs}"
        )
        yield Described(
            cell.id, cell_identity(plan, specs[cell.backbone], loaded, cell.method), applies, note
        )


def _equal_to(method: Method, others: Sequence[Method], gap_linear: bool) -> str:
    """Name the method of the run with the same map, the one that names the identity or the first.

    Empty where it is this method itself.
    """
    identity = method.map_identity(gap_linear)
    same = [other for other in others if other.map_identity(gap_linear) == identity]
    first = next((other for other in same if other.name == identity), same[0])
    return "" if first == method else f"identical to {first.name} by construction"


class BackboneRegistration:
    """The backbones of one session: which are loaded, and which cannot be.

    Attributes:
        loaded: positions in the plan of those that a worker has loaded in this session.
        labelling: how many images have a label and how, in words; empty until one is loaded.
    """

    def __init__(
        self,
        *,
        plan: RunPlan,
        manifest: Manifest,
        reader: RunReader,
        journal: Journal,
        schedule: Schedule,
        early_end: EarlyEnd,
        cuda: bool,
    ) -> None:
        self._plan = plan
        self._reader = reader
        self._journal = journal
        self._schedule = schedule
        self._early_end = early_end
        self._cuda = cuda
        self._labels = RunLabels(plan, manifest, reader, journal)
        self._probed: set[int] = set()
        self._unavailable: dict[int, Error] = {}
        self._versions: dict[str, str] = {}
        self.loaded: set[int] = set()
        self.labelling = ""

    @property
    def outstanding(self) -> bool:
        """Whether a backbone is still to be loaded for work that is left."""
        return self._schedule.needed_backbone(self.loaded) is not None

    def next_probe(self) -> Unit | None:
        """A unit that loads the backbone that is needed next.

        Its units are cut afterwards, for only then is it known which cells apply.
        """
        position = self._schedule.needed_backbone(self.loaded)
        if position is None or position in self._probed:
            return None
        self._probed.add(position)
        return self._schedule.probe(position)

    def retry_probe(self, position: int) -> None:
        """The probe of a backbone was lost with its worker: it may be handed out again."""
        self._probed.discard(position)

    def register(self, event: Ready) -> bool:
        """Store what a worker tells of itself and of the backbone that it has loaded.

        Returns:
            Whether the backbone is the first of its kind in this session.

        Raises:
            Mismatch: it is not the one that the run's rows were computed with, or does not answer
                their images as it did.
            UsageError: its classes or labels do not admit ``--target label``.
        """
        writer = self._journal.writer
        if event.versions != self._versions:
            self._versions = event.versions
            self._journal.retry(lambda: writer.add_versions(event.versions))
        position = event.position
        if position is None:
            return False
        if event.loaded is not None:
            loaded = self._labels.name_classes(event.loaded)
            self._journal.retry(lambda: writer.cells.set_backbone(position, loaded))
        if event.disagreement:
            raise Mismatch(
                f"{self._plan.backbones[position].name} {ANSWERS_OTHERWISE} than when the run's "
                f"rows were computed: {event.disagreement}",
                "put the network, its files and libraries back as they were, or choose another "
                "--name",
            )
        if event.loaded is None or position in self.loaded:
            return False
        self._journal.retry(lambda: self._store(position, loaded))
        self.loaded.add(position)
        name = self._plan.backbones[position].name
        self._early_end.backbone_loaded(name)
        size = f"{loaded.channels}×{loaded.height}×{loaded.width}"
        self._journal.event("info", f"loaded {name}: {loaded.weights}, {loaded.layer} {size}")
        for remark in loaded.remarks:
            self._journal.event("warning", f"{name}: {remark}")
        if len(self.loaded) == 1:
            self.labelling = self._labels.check_labels()
        self._labels.check_classes()
        return True

    def _store(self, position: int, loaded: LoadedBackbone) -> None:
        """Store what the backbone tells of cells, stages and labels; may be repeated."""
        writer, name = self._journal.writer, self._plan.backbones[position].name
        cells = [cell for cell in self._reader.cells() if cell.backbone == name]
        for told in describe_cells(self._plan, cells, loaded):
            writer.cells.describe(
                told.cell, identity=told.identity, applicable=told.applicable, note=told.note
            )
        images = self._reader.info().image_count
        for stage in plan_stages(
            self._plan, self._reader.cells(), self._reader.backbones(), cuda=self._cuda
        ):
            if stage.backbone == position and stage != self._schedule.stages[stage.id]:
                self._schedule.replace_stage(stage)
                writer.change_stage(stage.record(images))
        self._labels.store(loaded)

    def leave_out(self, position: int, error: Error, *, under_way: bool) -> None:
        """Leave out a backbone that cannot be loaded or measured, and go on with the others.

        Raises:
            CamtuiError: there are no others, and the run is not under way yet.
        """
        self._schedule.skip_backbone(position)
        first_time = position not in self._unavailable
        self._unavailable[position] = error
        if not (under_way or self.outstanding or self._schedule.busy):
            raise _unavailable(error)
        name = self._plan.backbones[position].name
        if first_time:
            why = "it cannot be loaded: " if error.loading else ""
            self._journal.event("error", f"{name} is left out, {why}{error.message}")
            self._journal.retry(
                lambda: self._journal.writer.cells.note(name, f"not loaded: {error.message}")
            )
            if not error.loading:
                told = f"left out, what was computed before counts for nothing: {error.message}"
                self._journal.retry(lambda: self._journal.writer.cells.remark(position, [told]))
        self._early_end.leave_out(name)

    def raise_unavailable(self) -> None:
        """Raise the error of the first backbone that could not be loaded, if there is one."""
        for error in self._unavailable.values():
            raise _unavailable(error)


def _unavailable(event: Error) -> CamtuiError:
    """The worker's error as the driver's own."""
    error = CamtuiError.from_dict(
        {"kind": event.kind, "message": event.message, "hint": event.hint}
    )
    if isinstance(error, RunFailed) and not error.hint:
        return RunFailed(error.message, "list the networks and their weights: camtui backbones")
    return error

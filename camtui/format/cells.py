"""The cells of a run as every table shows them: averages, completeness, ranks with ties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Literal

from camtui.format.known_differences import KnownDifferences
from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.metrics.base import Metric
from evaluator.records import Cell
from evaluator.statistics import (
    FEWEST_TESTED,
    LEVEL,
    CellSummary,
    Mean,
    PairedDifference,
    holm_separated,
    t_test_p,
)

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

Mark = Literal["", "best", "tie", "second"]

SIGNS: dict[Mark, str] = {"best": "*", "tie": "=", "second": "", "": ""}
"""Rank → its sign where there is no colour: ``*`` best, ``=`` not separated from the best."""

MEANS_OF_IMAGES = ("mean_image_adcc", "mean_image_arcc")
"""Means of scores of single images; the averages named ``adcc`` and ``arcc`` are harmonic means of
averages.
"""


def means_of_images(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return the means of image scores that a run with these metrics has."""
    return (
        MEANS_OF_IMAGES if any(metric.key == "arcc" for metric in metrics) else MEANS_OF_IMAGES[:1]
    )


Paired = Callable[[str, int, int], PairedDifference | None]
"""``Averages.paired``, or a cache of it."""


_IDENTICAL, _BY_CONSTRUCTION = "identical to ", " by construction"
"""Ends of the note of a cell that the driver copies from another."""


@dataclass(frozen=True)
class CellView:
    """One cell with what is known of it.

    Attributes:
        images: that the cell is to have, to tell whether it is complete.
        dropped: images after which it was certainly worse than the best and left the race, ``None``
            where it did not.
        marks: metric → rank among the methods of the backbone; a metric without a rank is left out.
        rivals: metric → how many others the best was tested against, where this one has a rank.
    """

    cell: Cell
    summary: CellSummary
    images: int
    marks: dict[str, Mark] = field(default_factory=dict)
    dropped: int | None = None
    rivals: dict[str, int] = field(default_factory=dict)

    @property
    def partial(self) -> bool:
        """Whether it has begun, and some images have neither a row nor a failure."""
        return 0 < self.summary.n + self.summary.failed < self.images

    @property
    def control(self) -> bool:
        """Whether it takes no part in the ranks, as Fake-CAM in the paper's Table 2."""
        return catalog.is_control(self.cell.method)

    @property
    def unranked(self) -> str:
        """Why it has no rank whatever its numbers are, empty where it may have one."""
        if self.summary.all_degenerate:
            return "every map is all zero"
        return "the network answers every image alike" if self.summary.constant else ""

    @property
    def twin(self) -> str:
        """The method of the backbone that it equals by construction, empty where there is none."""
        if not self.cell.note.startswith(_IDENTICAL):
            return ""
        return self.cell.note.removeprefix(_IDENTICAL).removesuffix(_BY_CONSTRUCTION)

    def mean(self, metric: str) -> Mean | None:
        """Return a metric's average; ``mean_image_adcc`` and ``mean_image_arcc`` are two more."""
        if metric in MEANS_OF_IMAGES:
            mean: Mean | None = getattr(self.summary, metric)
            return mean
        return self.summary.means.get(metric)


def shown_metrics(reader: RunReader) -> list[Metric]:
    """Return the metrics that the run was asked for, in the paper's order."""
    wanted = set(reader.plan().metrics)
    return [metric for key, metric in known_metrics().items() if key in wanted]


def cell_views(reader: RunReader, ranked: Sequence[Metric] = ()) -> list[CellView]:
    """Return every cell of a run, backbones in the plan's order.

    Args:
        ranked: metrics to rank; pairs that may tie are read image by image, so not for every tick
            of a display.
    """
    images, look = reader.images_wanted(), reader.look()
    dropped = look.dropped if look else {}
    summaries = {summary.cell: summary for summary in reader.averages.summaries()}
    views = [
        CellView(cell, summaries[cell.id], images, dropped=dropped.get(cell.id))
        for cell in reader.cells()
    ]
    known = KnownDifferences(reader)
    for backbone in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == backbone]
        for metric in ranked:
            marks = rank_cells(group, metric, known.paired)
            for view in (view for view in group if view.cell.id in marks):
                view.marks[metric.key] = marks[view.cell.id]
                view.rivals[metric.key] = len(_rivals(_ordered(group, metric)))
    known.keep()
    return views


def rank_cells(views: Iterable[CellView], metric: Metric, paired: Paired) -> dict[int, Mark]:
    """Return best, ties with the best and second of some cells in one metric, by cell id.

    Controls, means over fewer than 10 images, cells of all-zero maps and those of a network that
    answers every image alike have no rank, and none has one where all are one constant. Cells
    whose average equals the best, such as methods that are one map on a network, are best together.
    A tie is a cell that the paired t test does not separate from the best, at 5 % over all of these
    tests (Holm 1979); methods that are one map are tested once. Cells that are further apart than
    any standard error of the difference allows (it is at most the sum of both) are not read.
    Second is the average next to the best, unless that is a tie.
    """
    ordered = _ordered(views, metric)
    if len(ordered) < 2 or _are_one_constant(ordered, metric):
        return {}
    best, tied = ordered[0], _tied(ordered, metric, paired)
    maps = {view.cell.method for view in ordered if view.cell.id in tied}
    marks: dict[int, Mark] = {best.cell.id: "best"}
    values = [_value(view, metric) for view in ordered]
    below = next((value for value in values if value != values[0]), None)
    for view in ordered[1:]:
        if _value(view, metric) == _value(best, metric):
            marks[view.cell.id] = "best"
        elif view.cell.id in tied or view.twin in maps:
            marks[view.cell.id] = "tie"
        elif _value(view, metric) == below:  # two cells may be equal by construction
            marks[view.cell.id] = "second"
    return marks


def _ordered(views: Iterable[CellView], metric: Metric) -> list[CellView]:
    """Return those that may have a rank, best first."""
    having = [
        view
        for view in views
        if (mean := view.mean(metric.key)) is not None
        and mean.n >= FEWEST_TESTED
        and not (view.control or view.unranked)
    ]
    return sorted(having, key=lambda view: -metric.sign * _value(view, metric))


def _are_one_constant(ordered: Sequence[CellView], metric: Metric) -> bool:
    means = [view.summary.means[metric.key] for view in ordered]
    return all(mean.value == means[0].value and not mean.se for mean in means)


def _rivals(ordered: Sequence[CellView]) -> list[CellView]:
    """Return those that the best is tested against: each map once."""
    methods = {view.cell.method for view in ordered}
    return [view for view in ordered[1:] if view.twin not in methods]


def _tied(ordered: Sequence[CellView], metric: Metric, paired: Paired) -> set[int]:
    """Return the cells that are not separated from the best; a method may be there twice."""
    best, rivals = ordered[0], _rivals(ordered)
    near = [
        view
        for view in rivals
        if _value(view, metric) != _value(best, metric)
        and may_tie(best, view, metric, LEVEL / len(rivals))
    ]
    apart = sum(_value(view, metric) != _value(best, metric) for view in rivals) - len(near)
    found = {view.cell.id: paired(metric.key, best.cell.id, view.cell.id) for view in near}
    p = {
        cell: one.p
        for cell, one in found.items()
        if one is not None and one.tested and one.p is not None
    }
    return p.keys() - holm_separated(p, len(rivals) - apart)


def _value(view: CellView, metric: Metric) -> float:
    mean = view.mean(metric.key)
    assert mean is not None
    return mean.value


def may_tie(best: CellView, view: CellView, metric: Metric, level: float) -> bool:
    """Return whether the test may not separate two at that level, by their own errors."""
    first, second = best.mean(metric.key), view.mean(metric.key)
    assert first is not None
    assert second is not None
    if first.n != second.n or first.se is None or second.se is None:
        return True
    largest = first.se + second.se
    distance = abs(first.value - second.value)
    return t_test_p(distance / largest if largest else inf, first.n - 1) > level


def best_first(group: Sequence[CellView]) -> list[CellView]:
    """Return each map of a backbone once, by ADCC, controls behind the others."""

    def place(view: CellView) -> tuple[bool, float]:
        mean = view.mean("adcc")
        return view.control, -mean.value if mean else 1.0

    methods = {view.cell.method for view in group}
    return sorted((view for view in group if view.twin not in methods), key=place)


@dataclass(frozen=True)
class Answer:
    """Which method of a backbone is best in ADCC.

    Attributes:
        best: its cell; ahead: of the next other average, by the paired difference.
        tied: cells that are not separated from it.
    """

    best: CellView
    ahead: PairedDifference | None
    next: CellView | None
    tied: tuple[CellView, ...]

    @property
    def certain(self) -> bool:
        """Whether the paired test separates it from every other method."""
        return self.next is not None and not self.tied and self.ahead is not None


def answers(views: Sequence[CellView], paired: Paired) -> list[Answer]:
    """Return the best method of each backbone that has one, by its ADCC and the marks of it."""
    metric, found = "adcc", []
    for name in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == name]
        ranked = [view for view in best_first(group) if view.marks.get(metric) == "best"]
        if not ranked:
            continue
        best, mean = ranked[0], ranked[0].mean(metric)
        others = [
            view
            for view in best_first(group)
            if not (view.control or view.unranked)
            and (other := view.mean(metric)) is not None
            and mean is not None
            and other.value != mean.value
        ]
        behind = others[0] if others else None
        ahead = paired(metric, best.cell.id, behind.cell.id) if behind else None
        tied = tuple(view for view in others if view.marks.get(metric) == "tie")
        found.append(Answer(best, ahead, behind, tied))
    return found

"""The cells of a run as every table shows them: averages, completeness, ranks with ties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.metrics.base import Metric
from evaluator.records import Cell
from evaluator.statistics import CellSummary, Mean, PairedDifference

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

Mark = Literal["", "best", "tie", "second"]

SIGNS: dict[Mark, str] = {"best": "*", "tie": "=", "second": "", "": ""}
"""Rank → its sign where there is no colour: ``*`` best, ``=`` tie with the best."""

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


@dataclass(frozen=True)
class CellView:
    """One cell with what is known of it.

    Attributes:
        images: that the cell is to have, to tell whether it is complete.
        dropped: images after which it was certainly worse than the best and left the race, ``None``
            where it did not.
        marks: metric → rank among the methods of the backbone; a metric without a rank is left out.
    """

    cell: Cell
    summary: CellSummary
    images: int
    marks: dict[str, Mark] = field(default_factory=dict)
    dropped: int | None = None

    @property
    def partial(self) -> bool:
        """Whether it has begun, and some images have neither a row nor a failure."""
        return 0 < self.summary.n + self.summary.failed < self.images

    @property
    def control(self) -> bool:
        """Whether it takes no part in the ranks, as Fake-CAM in the paper's Table 2."""
        return catalog.is_control(self.cell.method)

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
    for backbone in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == backbone]
        for metric in ranked:
            for cell, mark in rank_cells(group, metric, reader.averages.paired).items():
                next(view for view in group if view.cell.id == cell).marks[metric.key] = mark
    return views


def rank_cells(views: Iterable[CellView], metric: Metric, paired: Paired) -> dict[int, Mark]:
    """Return best, ties with the best and second of some cells in one metric, by cell id.

    Cells whose average equals the best, such as methods that are one map on a network, are best
    together. A tie is a paired difference whose 95 % interval holds 0. Cells that are further apart
    than both their intervals together cannot tie (the standard error of a difference is at most the
    sum of both), so only near ones are read.
    """
    having = [view for view in views if view.mean(metric.key) is not None and not view.control]
    ordered = sorted(having, key=lambda view: -metric.sign * _value(view, metric))
    if len(ordered) < 2:
        return {}
    best = ordered[0]
    marks: dict[int, Mark] = {best.cell.id: "best"}
    second: float | None = None
    for view in ordered[1:]:
        if _value(view, metric) == _value(best, metric):
            marks[view.cell.id] = "best"
        elif _may_tie(best, view, metric) and _tie(paired(metric.key, best.cell.id, view.cell.id)):
            marks[view.cell.id] = "tie"
        elif second in (None, _value(view, metric)):  # two cells may be equal by construction
            marks[view.cell.id] = "second"
            second = _value(view, metric)
    return marks


def _value(view: CellView, metric: Metric) -> float:
    mean = view.mean(metric.key)
    assert mean is not None
    return mean.value


def _may_tie(best: CellView, view: CellView, metric: Metric) -> bool:
    first, second = best.mean(metric.key), view.mean(metric.key)
    assert first is not None
    assert second is not None
    if first.n != second.n or first.half_width is None or second.half_width is None:
        return True
    return abs(first.value - second.value) <= first.half_width + second.half_width


def _tie(difference: PairedDifference | None) -> bool:
    return difference is not None and difference.tie

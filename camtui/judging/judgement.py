"""Agreement with truth, controls, sensitivity and stability of a run's metrics, by backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camtui.judging import (
    Against,
    Agreement,
    ControlWins,
    Estimate,
    Judgement,
    NullControl,
    Sensitivity,
    Stability,
)
from camtui.judging.bootstrap import Resampling, estimate, kendall, weighted_means
from evaluator import catalog
from evaluator.backbones import parse_backbone
from evaluator.errors import NotFound, UsageError
from evaluator.methods.base import FixedMap
from evaluator.metrics.base import Metric
from evaluator.records import Cell
from evaluator.statistics import HEADLINES

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """Stored values of a backbone's cells.

    Attributes:
        columns: (metric, cell) → ``[images]``, by rank in the run's order; NaN where there is no
            value.
        images: how many images the run has.
    """

    columns: dict[tuple[str, int], Floats]
    images: int

    def parts(self, metric: str, cells: Sequence[Cell]) -> list[Floats]:
        """Return each of ``parts_of(metric)`` as ``[cells, images]``.

        An image that lacks one of these numbers in one of the cells counts in none: averages are
        over the same images.
        """
        found = [self._raw(part, cells) for part in parts_of(metric)]
        missing = np.isnan(np.stack(found)).any((0, 1))
        for part in found:
            part[:, missing] = np.nan
        return found

    def of(self, metric: str, cells: Sequence[Cell]) -> Floats:
        """Return a metric, ``[cells, images]``; NaN where an image lacks a value in a cell."""
        found = self._raw(metric, cells)
        found[:, np.isnan(found).any(0)] = np.nan
        return found

    def _raw(self, metric: str, cells: Sequence[Cell]) -> Floats:
        nothing = np.full(self.images, np.nan)
        return np.stack([self.columns.get((metric, cell.id), nothing) for cell in cells])

    def has(self, metric: str, cells: Sequence[Cell]) -> bool:
        """Return whether each cell has a value of that metric."""
        return len(self.having(metric, cells)) == len(cells)

    def having(self, metric: str, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that have a value of that metric."""
        return [cell for cell in cells if (metric, cell.id) in self.columns]


def read_values(reader: RunReader, cells: Sequence[Cell], metrics: Sequence[Metric]) -> Values:
    """Read every value of some cells in some metrics and in the components that these average."""
    images = reader.info().image_count
    keys = dict.fromkeys(key for metric in metrics for key in (metric.key, *parts_of(metric.key)))
    columns: dict[tuple[str, int], Floats] = {}
    for cell in cells:
        for key in keys:
            pairs = reader.rows.values(cell.id, key)
            if pairs:
                column = columns[key, cell.id] = np.full(images, np.nan)
                places, numbers = zip(*pairs, strict=True)
                column[np.array(places)] = numbers
    return Values(columns, images)


def parts_of(metric: str) -> tuple[str, ...]:
    """Return the metrics whose averages make up this one's: itself, or its components."""
    return HEADLINES[metric].sources if metric in HEADLINES else (metric,)


def headline(metric: str, averages: Sequence[Floats]) -> Floats:
    """Return a method's average from those of ``parts_of(metric)``, or their harmonic mean."""
    if metric not in HEADLINES:
        return averages[0]
    score = HEADLINES[metric]
    summed = averages if metric == "adcc" else _parts_of_arcc(*averages)
    turned = [summed[at] if score.signs[at] > 0 else 1 - summed[at] for at in score.order]
    safe = [np.where(one > 0, one, np.nan) for one in turned]
    mean = len(safe) / sum(1 / one for one in safe)
    undefined = np.isnan(np.stack(turned)).any(0)
    return np.where(undefined, np.nan, np.where(np.isnan(mean), 0.0, mean))


def _parts_of_arcc(coherency: Floats, complexity: Floats, road: Floats) -> list[Floats]:
    """As ``statistics.arcc_components``, of arrays."""
    return [coherency, 1 - complexity, np.clip(2 * road, 0, 1)]


def better(metric: str, values: Floats) -> Floats:
    """Return values turned so that more is better."""
    return catalog.known_metrics()[metric].sign * values


TRUTH_MEASURES = ("mass_accuracy", "rank_accuracy")
"""The measures of truth that the others are held against."""

WRONG_CLASS = "wrongclass"
"""The method that explains another class than the one that is measured."""

HALVES = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
"""Images in each of two random halves for stability, as far as the run has twice as many."""

SPLITS = 200
"""Pairs of halves for each size."""


@dataclass(frozen=True)
class JudgeOptions:
    """Draws and seed of a judgement.

    Attributes:
        draws: of the bootstrap.
        seed: of draws and halves.
    """

    draws: int = 1000
    seed: int = 0


class _Altered(NamedTuple):
    """A kind of map that must be worse, with pairs of a method's cell and its altered one.

    ``nulls``: pairs whose maps are one.
    """

    against: Against
    pairs: tuple[tuple[Cell, Cell], ...]
    nulls: tuple[tuple[Cell, Cell], ...] = ()


def judge(reader: RunReader, chosen: JudgeOptions = JudgeOptions()) -> list[Judgement]:
    """Judge the metrics of a run, for each backbone that has truth and trained weights.

    Raises:
        NotFound: the run has no truth, or fewer than two methods to put in order.
    """
    keys = reader.plan().metrics
    metrics = [metric for key, metric in catalog.known_metrics().items() if key in keys]
    if not any(key in TRUTH_MEASURES for key in keys):
        raise NotFound(
            "the run has no measure of truth",
            f"camtui run --name {reader.info().name} --truth MASKS "
            "--metric mass_accuracy,rank_accuracy adds it",
        )
    cells = [cell for cell in reader.cells() if cell.applicable]
    trained = [
        name
        for name in reader.backbones()
        if not parse_backbone(name).weights.startswith("random:")
    ]
    subjects = trained or list(reader.backbones())
    found = [_judge_backbone(reader, name, cells, metrics, chosen) for name in subjects]
    judged = [one for one in found if one is not None]
    if not judged:
        raise NotFound(
            "fewer than two methods of the run have a measure of truth",
            "camtui status RUN; camtui judge needs two or more",
        )
    return judged


def _judge_backbone(
    reader: RunReader,
    backbone: str,
    cells: Sequence[Cell],
    metrics: Sequence[Metric],
    chosen: JudgeOptions,
) -> Judgement | None:
    mine = [cell for cell in cells if cell.backbone == backbone and _key(cell) != WRONG_CLASS]
    altered = _altered(backbone, cells)
    pairs = [pair for kind in altered for pair in (*kind.pairs, *kind.nulls)]
    needed = dict.fromkeys([*mine, *(cell for pair in pairs for cell in pair)])
    values = read_values(reader, list(needed), metrics)
    begun = [
        cell for cell in mine if any((key, cell.id) in values.columns for key in TRUTH_MEASURES)
    ]
    twins = _twins(
        reader, backbone, [cell for cell in begun if not catalog.is_control(cell.method)]
    )
    ranked = [
        cell for cell in begun if not catalog.is_control(cell.method) and cell.method not in twins
    ]
    controls = [cell for cell in begun if catalog.is_control(cell.method)]
    if len(ranked) < 2:
        return None
    shown = [metric.key for metric in metrics if len(values.having(metric.key, ranked)) > 1]
    bench = MetricJudge(values, chosen)
    lacking = {
        metric: tuple(cell.method for cell in ranked if not values.has(metric, [cell]))
        for metric in shown
        if not values.has(metric, ranked)
    }
    return Judgement(
        backbone=backbone,
        methods=tuple(cell.method for cell in ranked),
        controls=tuple(cell.method for cell in controls),
        twins=twins,
        lacking=lacking,
        agreement=tuple(bench.agreement(shown, ranked)),
        control_wins=tuple(bench.control_wins(shown, ranked, controls)),
        sensitivity=tuple(bench.sensitivity(shown, altered)),
        stability=tuple(bench.stability(shown, ranked)),
    )


class MetricJudge:
    """Statistics on the values of one backbone, all over the same draws of images."""

    def __init__(self, values: Values, chosen: JudgeOptions) -> None:
        self._values, self._seed = values, chosen.seed
        self._resampling = Resampling(values.images, chosen.draws, chosen.seed)

    def agreement(self, metrics: Sequence[str], ranked: Sequence[Cell]) -> Iterator[Agreement]:
        """Yield the agreement of every metric with every measure of truth, by methods with both."""
        for truth in (key for key in TRUTH_MEASURES if key in metrics):
            for metric in (key for key in metrics if key != truth):
                cells = self._values.having(metric, self._values.having(truth, ranked))
                if len(cells) < 2:
                    continue
                taus = kendall(
                    better(metric, self._values.of(metric, cells)),
                    better(truth, self._values.of(truth, cells)),
                )
                one, other = (better(key, self._averages(key, cells)) for key in (metric, truth))
                n = _count(taus)
                yield Agreement(
                    metric, truth, estimate(self._means(taus), n), estimate(kendall(one, other), n)
                )

    def control_wins(
        self, metrics: Sequence[str], ranked: Sequence[Cell], controls: Sequence[Cell]
    ) -> Iterator[ControlWins]:
        """Yield the wins of every control in every metric."""
        for metric in metrics:
            for control in (cell for cell in controls if self._values.has(metric, [cell])):
                together = [control, *self._values.having(metric, ranked)]
                values = better(metric, self._values.of(metric, together))
                above = np.where(np.isnan(values[0]), np.nan, values[0] > values[1:].max(0))
                averages = better(metric, self._averages(metric, together)[:, 0])
                n = _count(above)
                won = bool(averages[0] > averages[1:].max()) if n else None
                share = estimate(self._means(above), n)
                yield ControlWins(metric, control.method, share, won, 1 / len(together))

    def sensitivity(
        self, metrics: Sequence[str], altered: Sequence[_Altered]
    ) -> Iterator[Sensitivity]:
        """Yield the sensitivity of every metric to every kind of map that must be worse."""
        for metric in metrics:
            for kind in altered:
                pairs = [pair for pair in kind.pairs if self._values.has(metric, pair)]
                if not pairs:
                    continue
                noticed, fall = self._noticed(metric, pairs)
                nulls = []
                for null in (pair for pair in kind.nulls if self._values.has(metric, pair)):
                    by_chance, lost = self._noticed(metric, [null])
                    more = noticed - by_chance
                    nulls.append(
                        NullControl(null[0].method, lost, self._mean(by_chance), self._mean(more))
                    )
                names = tuple(pair[0].method for pair in pairs)
                yield Sensitivity(
                    metric,
                    kind.against,
                    names,
                    fall,
                    self._mean(noticed),
                    null_controls=tuple(nulls),
                )

    def _noticed(self, metric: str, pairs: Sequence[tuple[Cell, Cell]]) -> tuple[Floats, Estimate]:
        """Return the share of the pairs whose second is worse, by image, and how much worse."""
        cells = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
        right, wrong = np.split(better(metric, self._values.of(metric, cells)), 2)
        noticed = ((np.sign(right - wrong) + 1) / 2).mean(0)
        averages, others = np.split(better(metric, self._averages(metric, cells)), 2)
        return noticed, estimate((averages - others).mean(0), _count(noticed))

    def _mean(self, column: Floats) -> Estimate:
        return estimate(self._means(column), _count(column))

    def stability(self, metrics: Sequence[str], ranked: Sequence[Cell]) -> Iterator[Stability]:
        """Yield the stability of every metric, for each size of two disjoint sets."""
        for metric in metrics:
            parts = self._values.parts(metric, self._values.having(metric, ranked))
            known = ~np.isnan(parts[0][0])
            columns = [part[:, known].T for part in parts]
            images = int(known.sum())
            order = np.argsort(np.random.default_rng(self._seed).random((SPLITS, images)), axis=1)
            for size in (size for size in HALVES if 2 * size <= images):
                halves = [
                    _members(order[:, part], images)
                    for part in (slice(0, size), slice(images - size, images))
                ]
                one, other = (
                    headline(metric, [weighted_means(half, column).T for column in columns])
                    for half in halves
                )
                taus = kendall(better(metric, one), better(metric, other))
                mean = weighted_means(np.ones((1, SPLITS)), taus[:, None])[0]
                yield Stability(metric, size, estimate(np.concatenate([mean, taus]), size))

    def _averages(self, metric: str, cells: Sequence[Cell]) -> Floats:
        """Return each method's average over all images, then each draw, ``[cells, 1 + draws]``."""
        return headline(
            metric, [self._resampling.means(part.T).T for part in self._values.parts(metric, cells)]
        )

    def _means(self, column: Floats) -> Floats:
        return self._resampling.means(column[:, None])[:, 0]


def _count(column: Floats) -> int:
    return int((~np.isnan(column)).sum())


def _members(chosen: NDArray[np.intp], images: int) -> Floats:
    """Return places ``[sets, n]`` as weights ``[sets, images]``."""
    weights = np.zeros((len(chosen), images))
    np.put_along_axis(weights, chosen, 1.0, axis=1)
    return weights


def _altered(backbone: str, cells: Sequence[Cell]) -> list[_Altered]:
    """Return the pairs of cells that a run has for each kind of map that must be worse."""
    mine = {cell.method: cell for cell in cells if cell.backbone == backbone}
    wrong = [
        (mine[of], cell)
        for cell in mine.values()
        if _key(cell) == WRONG_CLASS and (of := _explained(cell)) in mine
    ]
    random = [
        (mine[cell.method], cell)
        for cell in cells
        if _is_random_twin(cell.backbone, backbone)
        and cell.method in mine
        and not catalog.is_control(cell.method)
        and _key(cell) != WRONG_CLASS
    ]
    nulls = [
        (mine[cell.method], cell)
        for cell in cells
        if _is_random_twin(cell.backbone, backbone)
        and cell.method in mine
        and isinstance(catalog.method(cell.method), FixedMap)
    ]
    found = [
        _Altered("wrong class", tuple(wrong)),
        _Altered("random weights", tuple(random), tuple(nulls)),
    ]
    return [kind for kind in found if kind.pairs]


def _is_random_twin(name: str, trained: str) -> bool:
    """Return whether a backbone is the trained one with random weights."""
    one, other = parse_backbone(name), parse_backbone(trained)
    return (
        one.weights.startswith("random:")
        and replace(one, weights=other.weights) == other
        and one != other
    )


def _twins(reader: RunReader, backbone: str, cells: Sequence[Cell]) -> dict[str, str]:
    """Return methods whose maps are another's by construction, and would count it twice."""
    loaded = reader.backbones()[backbone]
    first: dict[str, str] = {}
    twins: dict[str, str] = {}
    for cell in cells:
        identity = _map_identity(cell.method, loaded is not None and loaded.gap_linear)
        if identity in first:
            twins[cell.method] = first[identity]
        else:
            first[identity] = cell.method
    return twins


def _map_identity(spec: str, gap_linear: bool) -> str:
    """Return the method's map identity; an unknown method is like no other."""
    try:
        return catalog.method(spec).map_identity(gap_linear)
    except UsageError:
        return spec


def _key(cell: Cell) -> str:
    return catalog.key_of(cell.method)


def _explained(cell: Cell) -> str:
    """Return the method whose map of another class a cell holds."""
    return str(catalog.method(cell.method).options["of"])

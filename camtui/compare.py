"""Two runs side by side: paired differences over the images that both have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from evaluator.catalog import ROW_METRICS, known_metrics
from evaluator.errors import Mismatch, NotFound
from evaluator.metrics.base import Metric
from evaluator.plan import options_of
from evaluator.records import Cell, LoadedBackbone
from evaluator.statistics import (
    FEWEST_TESTED,
    HEADLINES,
    PairedDifference,
    holm_separated,
    paired_difference,
)
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from pydantic import Field

    from camtui.payloads import Count, MetricKey, NonNegative, Share
    from evaluator.store.reader import RunReader

Verdict = Literal["better", "worse", "tie", "untested"]

Values = dict[str, float]
"""Metric → value of one image in one cell; undefined ones are left out."""


@dataclass(frozen=True)
class ComparedCell:
    """A metric of a cell in both runs.

    Attributes:
        n: common images.
        first, second: averages over these; fractions.
        se: standard error of the change.
    """

    backbone: str
    method: str
    metric: MetricKey
    n: Count
    first: Share
    second: Share
    change: Annotated[float, Field(description="second minus first")]
    se: NonNegative | None
    verdict: Annotated[
        Verdict,
        Field(
            description="paired t test, 5 % over all that are compared (Holm); "
            "untested below 10 common images"
        ),
    ] = "untested"

    @property
    def paired(self) -> PairedDifference:
        """The change with its interval."""
        return PairedDifference(self.n, self.change, self.se)

    @property
    def gain(self) -> float:
        """Improvement of the second run: the change, turned so that positive is good."""
        return known_metrics()[self.metric].sign * self.change


@dataclass(frozen=True)
class Comparison:
    """A run against the baseline.

    Attributes:
        first: the baseline's name.
        second: the other's.
        only_first, only_second: cells ``BACKBONE/METHOD`` that the other lacks.
        notes: what is unlike, though it does not forbid pairing; with ``force`` also what would.
    """

    first: str
    second: str
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    notes: tuple[str, ...]
    cells: tuple[ComparedCell, ...]

    @property
    def test(self) -> str:
        """How the verdicts came about, in words."""
        tested = sum(cell.paired.tested for cell in self.cells)
        words = "± half of the change's 95 % interval"
        if tested:
            words += f"; tie: not separated by the paired t test, 5 %, Holm over {tested} of them"
        if tested < len(self.cells):
            words += f"; untested: fewer than {FEWEST_TESTED} common images"
        return words

    def answer(self, metric: Metric) -> str:
        """Return the verdicts on a metric in one sentence, the baseline left unsaid."""
        cells = [cell for cell in self.cells if cell.metric == metric.key]
        better, worse, tied, untested = (
            sum(cell.verdict == verdict for cell in cells)
            for verdict in ("better", "worse", "tie", "untested")
        )
        fewest, most = (pick(cell.n for cell in cells) for pick in (min, max))
        images = counted(most, "image") if fewest == most else f"{fewest:,} to {most:,} images"
        words = f"{self.second} is better in {better} of {len(cells)}, worse in {worse}"
        words += f", tied in {tied}" + (f", untested in {untested}" if untested else "")
        return f"{words} ({metric.short}, {images})"

    def drops(self, limit: float) -> list[ComparedCell]:
        """Return the cells that became worse by more than a limit (a fraction)."""
        return [cell for cell in self.cells if -cell.gain > limit]


def compare_runs(
    first: RunReader, second: RunReader, metrics: Sequence[Metric], *, force: bool = False
) -> Comparison:
    """Compare cells of equal backbone and method, image by image.

    Raises:
        Mismatch: the protocols differ and ``force`` is off; the message names each option.
        NotFound: no common cell, or no common image in any.
    """
    different = list(protocol_differences(first, second, metrics))
    if different and not force:
        raise Mismatch(
            f"the runs have different protocols ({'; '.join(different)})",
            "add --force to pair them all the same",
        )
    mine, theirs = _cells(first), _cells(second)
    common = [name for name in mine if name in theirs]
    if not common:
        raise NotFound(
            f"nothing in common: {_listed(mine)} and {_listed(theirs)}",
            "methods pair by equal names of network and method, options "
            "and weights' file names included",
        )
    found = [
        cell
        for name in common
        for cell in _differences(first, mine[name], second, theirs[name], metrics)
    ]
    if not found:
        lacking = [
            metric.key for metric in metrics if metric.key not in comparable_metrics(first, second)
        ]
        if lacking:
            raise NotFound(
                f"not both runs have {', '.join(lacking)}",
                f"camtui run … --metric {lacking[0]} adds it",
            )
        raise NotFound(
            "the runs have no image in common", "images pair by their path in the data folder"
        )
    only_first = tuple(name for name in mine if name not in theirs)
    only_second = tuple(name for name in theirs if name not in mine)
    notes = (
        *(f"another protocol, paired by force: {text}" for text in different),
        *_notes(first, second, [(mine[name], theirs[name]) for name in common]),
    )
    names = printable(first.info().name), printable(second.info().name)
    return Comparison(*names, only_first, only_second, notes, _tested(found))


def _tested(cells: Sequence[ComparedCell]) -> tuple[ComparedCell, ...]:
    """Return the cells with the verdicts of all tests together (Holm 1979)."""
    p = {
        place: cell.paired.p
        for place, cell in enumerate(cells)
        if cell.paired.tested and cell.paired.p is not None
    }
    fallen = holm_separated(p)
    verdicts: dict[int, Verdict] = {
        place: "tie" if place not in fallen else "better" if cells[place].gain > 0 else "worse"
        for place in p
    }
    return tuple(
        replace(cell, verdict=verdicts.get(place, cell.verdict)) for place, cell in enumerate(cells)
    )


def comparable_metrics(first: RunReader, second: RunReader) -> list[str]:
    """Return the metrics that both runs were asked for, in the paper's order."""
    mine, theirs = first.plan().metrics, second.plan().metrics
    return [key for key in known_metrics() if key in mine and key in theirs]


def _cells(reader: RunReader) -> dict[str, Cell]:
    """Return the cells with rows by ``BACKBONE/METHOD``."""
    begun = {summary.cell for summary in reader.averages.summaries() if summary.n}
    return {f"{cell.backbone}/{cell.method}": cell for cell in reader.cells() if cell.id in begun}


def _listed(cells: dict[str, Cell], most: int = 4) -> str:
    names = list(cells)
    return (
        ", ".join(names[:most]) + (" …" if len(names) > most else "")
        if names
        else "nothing finished"
    )


def protocol_differences(
    first: RunReader, second: RunReader, metrics: Sequence[Metric]
) -> Iterator[str]:
    """Yield what two runs differ in that these metrics depend on, a clause each."""
    mine, theirs = first.plan(), second.plan()
    for option in options_of(metrics, set(mine.methods) & set(theirs.methods)):
        before, after = getattr(mine, option.name), getattr(theirs, option.name)
        if before != after:
            yield f"{option.flag.removeprefix('--')}: {before} → {after}"
    loaded = second.backbones()
    for name, one in first.backbones().items():
        other = loaded.get(name)
        if one is None or other is None:
            continue
        if one.layer != other.layer:
            yield f"{name} layer: {printable(one.layer)} → {printable(other.layer)}"
        for what, read in _SHOWN.items():
            if read(one) != read(other):
                yield f"{name} {what}: {printable(read(one))} → {printable(read(other))}"


def _input_of(loaded: LoadedBackbone) -> str:
    """What a network is shown, in words."""
    seen = loaded.preprocessing
    mean, std = ("/".join(f"{one:.3g}" for one in values) for values in (seen.mean, seen.std))
    return f"{seen.side} from {seen.resize} ({seen.interpolation}), mean {mean}, std {std}"


def _normalises_once_more(loaded: LoadedBackbone) -> bool:
    """Files of earlier versions do not say: there published weights did, and others did not."""
    known = loaded.transform_input
    published = loaded.key in ("inception_v3", "googlenet") and loaded.weights == "IMAGENET1K_V1"
    return published if known is None else known


_SHOWN: Mapping[str, Callable[[LoadedBackbone], object]] = {
    "input": _input_of,
    "transform_input": _normalises_once_more,
    "score": lambda loaded: loaded.score,
}
"""What two networks of one name and layer may differ in."""


def _notes(
    first: RunReader, second: RunReader, pairs: Sequence[tuple[Cell, Cell]]
) -> Iterator[str]:
    if first.manifest_sha256() != second.manifest_sha256():
        yield "the data folders are not the same: images pair by path"
    if first.plan().seed != second.plan().seed:
        yield (
            f"seeds differ ({first.plan().seed} → {second.plan().seed}): another "
            "order, other noise where a method draws some"
        )
    loaded = second.backbones()
    for name, one in first.backbones().items():
        other = loaded.get(name)
        if one is not None and other is not None and one.sha256 != other.sha256:
            weights = " → ".join(
                f"{printable(each.weights)} {each.sha256[:8]}" for each in (one, other)
            )
            yield f"{name}: other weights ({weights})"
            here = next((pair for pair in pairs if pair[0].backbone == name), None)
            if here is not None:
                yield from _accuracy(first, here[0], second, here[1])


def _accuracy(first: RunReader, mine: Cell, second: RunReader, theirs: Cell) -> Iterator[str]:
    """Yield the share of right predictions in both, over the common images with a label."""
    right = dict(_predictions(first, mine))
    both = [(right[path], new) for path, new in _predictions(second, theirs) if path in right]
    if both:
        old, new = (sum(pair[of] for pair in both) / len(both) for of in (0, 1))
        yield (
            f"{mine.backbone}: accuracy {100 * old:.1f} % → {100 * new:.1f} % on the "
            f"{counted(len(both), 'common image')} with a label"
        )


def _predictions(reader: RunReader, cell: Cell) -> Iterator[tuple[bytes, bool]]:
    """Yield path, and whether the prediction is the label, of every labelled image of a cell."""
    for row, image, _ in reader.rows.of_cell(cell.id, verify=True):
        if image.label is not None:
            yield image.path, row.predicted == image.label


def _differences(
    first: RunReader, mine: Cell, second: RunReader, theirs: Cell, metrics: Sequence[Metric]
) -> Iterator[ComparedCell]:
    values = dict(values_of(first, mine))
    pairs = [(new, values[path]) for path, new in values_of(second, theirs) if path in values]
    for metric in metrics:
        made_of = HEADLINES.get(metric.key)
        needed = made_of.sources if made_of else (metric.key,)
        both = [
            (new, old) for new, old in pairs if all(name in new and name in old for name in needed)
        ]
        change = paired_difference(metric.key, both)
        if change is not None:
            old, new = (_average(metric.key, [pair[of] for pair in both]) for of in (1, 0))
            yield ComparedCell(
                mine.backbone,
                mine.method,
                metric.key,
                change.n,
                old,
                new,
                change.value,
                change.se,
            )


def values_of(reader: RunReader, cell: Cell) -> Iterator[tuple[bytes, Values]]:
    """Yield path and values of every image that a cell has a row of."""
    for row, image, curves in reader.rows.of_cell(cell.id, verify=True):
        known = {name: value for name in ROW_METRICS if (value := getattr(row, name)) is not None}
        yield image.path, {**known, **curves}


def _average(metric: str, images: Sequence[Values]) -> float:
    if metric in HEADLINES:
        return HEADLINES[metric].of_images(images)
    return sum(values[metric] for values in images) / len(images)


@dataclass(frozen=True)
class ChangedImage:
    """One image under one network and method in both runs.

    Attributes:
        first, second: the metric in either run; fractions.
    """

    path: bytes
    first: float
    second: float

    @property
    def change(self) -> float:
        """The second minus the first."""
        return self.second - self.first


def changed_images(
    first: RunReader, second: RunReader, backbone: str, method: str, metric: Metric
) -> list[ChangedImage]:
    """Return the images that have a metric in both runs, the one that became worse by most first.

    None where the metric is made of averages, as ARCC is.
    """
    name = f"{backbone}/{method}"
    mine, theirs = _cells(first).get(name), _cells(second).get(name)
    if mine is None or theirs is None:
        return []
    before = dict(values_of(first, mine))
    found = [
        ChangedImage(path, before[path][metric.key], now[metric.key])
        for path, now in values_of(second, theirs)
        if metric.key in now and metric.key in before.get(path, {})
    ]
    return sorted(found, key=lambda one: metric.sign * one.change)

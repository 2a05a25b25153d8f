"""Ranks under protocols: which orders of methods survive the choices that runs differ in.

Meta-Rank (ECCV 2024) shows that rankings of attributions flip with the protocol; here the flip is a
number: in how many runs a method is better, worse or tied, and by which choice that changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

from camtui.compare import Verdict
from camtui.format.cells import CellView, cell_views
from camtui.format.numbers import ABSENT, count, metric_header, percent
from camtui.format.table import Block, Entry, Table, TableColumn, TableRow
from evaluator import catalog
from evaluator.errors import Mismatch, NotFound, UsageError
from evaluator.metrics.base import Metric
from evaluator.plan import PROTOCOL, RunPlan, options_of
from evaluator.statistics import holm_separated
from evaluator.text import printable

if TYPE_CHECKING:
    from pydantic import Field

    from camtui.payloads import Count, MetricKey, Share
    from evaluator.store.reader import RunReader

CHOICES = tuple(name for name, option in PROTOCOL.items() if option.concerns or name == "layer")
"""Choices of the protocol in which the runs may differ."""


@dataclass(frozen=True)
class RankedPair:
    """Two methods in every run.

    Attributes:
        first, second: methods.
        verdicts: of the first against the second, for each run.
        better, worse, tied, untested: how many of these there are.
        flipped_by: the choices, joined by ``+`` where several change at once, between runs of which
            one says better and another worse; none that holds another of them.
    """

    first: str
    second: str
    verdicts: tuple[
        Annotated[
            Verdict,
            Field(
                description="paired t test, 5 % over all pairs of the run's network (Holm); "
                "untested below 10 images"
            ),
        ],
        ...,
    ]
    better: Count
    worse: Count
    tied: Count
    untested: Count
    flipped_by: tuple[str, ...]

    @property
    def steady(self) -> bool:
        """Whether every run says the same."""
        return len(set(self.verdicts)) == 1


@dataclass(frozen=True)
class RankedMethod:
    """A method's average and rank in every run, 1 for the best; equal averages share a rank."""

    method: str
    averages: tuple[float, ...]
    ranks: tuple[float, ...]


@dataclass(frozen=True)
class Ranking:
    """A metric of a network under all runs.

    Attributes:
        w: Kendall's W, 1 where all runs order the methods alike, 0 where their orders cancel.
        lacking: methods that have no average in one of the runs, or are not ranked there.
    """

    metric: MetricKey
    backbone: Annotated[str, Field(description="the network, without its layer")]
    w: Annotated[
        Share | None, Field(description="Kendall's W over all runs, of the averages' ranks")
    ]
    methods: tuple[RankedMethod, ...]
    pairs: tuple[RankedPair, ...]
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class ProtocolRun:
    """A run, and what it has of each choice in which the runs differ."""

    run: str
    choices: dict[str, str]


@dataclass(frozen=True)
class Ranks:
    """All rankings of some runs."""

    runs: tuple[ProtocolRun, ...]
    rankings: tuple[Ranking, ...]


def ranks_of(readers: Sequence[RunReader], metrics: Sequence[Metric]) -> Ranks:
    """Rank the methods of every network in every run.

    Raises:
        UsageError: fewer than two runs, or runs of one protocol.
        Mismatch: they do not belong together; the message names what differs.
        NotFound: no network has two methods with averages in all of them.
    """
    if len(readers) < 2:
        raise UsageError("ranks takes two runs or more", "camtui ranks RUN RUN")
    for other in readers[1:]:
        refuse_strangers(readers[0], other)
    chosen = [_choices(reader) for reader in readers]
    differing = [name for name in CHOICES if len({one[name] for one in chosen}) > 1]
    if not differing:
        raise UsageError(
            "the runs have one protocol: nothing could change an order",
            "camtui run … --masking pixels --name ANOTHER makes another",
        )
    runs = tuple(
        ProtocolRun(printable(reader.info().name), {name: one[name] for name in differing})
        for reader, one in zip(readers, chosen, strict=True)
    )
    views = [_by_network(reader) for reader in readers]
    rankings = [
        _ranking(metric, network, readers, [one[network] for one in views], runs)
        for metric in metrics
        for network in views[0]
    ]
    found = tuple(one for one in rankings if len(one.methods) > 1)
    if not found:
        keys = ", ".join(metric.key for metric in metrics)
        raise NotFound(
            f"no two methods have {keys} over 10 images in every run", "camtui table RUN"
        )
    return Ranks(runs, found)


def refuse_strangers(first: RunReader, other: RunReader, *, whole: bool = True) -> None:
    """Refuse a run of other images, networks or methods than the first.

    Args:
        whole: every network and method must be the same; else only the weights of those networks
            that both have.

    Raises:
        Mismatch: names each difference.
    """
    mine, theirs = first.plan(), other.plan()
    facts: list[tuple[str, object, object]] = [
        ("data", first.manifest_sha256(), other.manifest_sha256()),
        ("images", first.images_wanted(), other.images_wanted()),
        ("seed", mine.seed, theirs.seed),
    ]
    if whole:
        facts += [
            ("networks", _names(_networks(mine)), _names(_networks(theirs))),
            ("methods", _names(mine.methods), _names(theirs.methods)),
        ]
    weights, others = (
        {
            network: loaded.sha256
            for network, name in (
                _networks(reader.plan()) if whole else {one: one for one in reader.backbones()}
            ).items()
            if (loaded := reader.backbones().get(name)) is not None
        }
        for reader in (first, other)
    )
    facts += [
        (f"weights of {network}", sha256, others.get(network, sha256))
        for network, sha256 in weights.items()
    ]
    different = [f"{what}: {_short(a)} → {_short(b)}" for what, a, b in facts if a != b]
    if different:
        names = [printable(reader.info().name) for reader in (first, other)]
        what = "images, networks and methods" if whole else "images and weights"
        raise Mismatch(
            f"{' and '.join(names)} are not of the same {what} ({'; '.join(different)})",
            "runs that differ in the protocol alone are set side by side, or runs of one protocol "
            "on the same images: camtui show RUN",
        )


def _short(fact: object) -> str:
    """A fact as text; of a hash its beginning."""
    text = str(fact)
    return text[:12] if len(text) == 64 and " " not in text else text


def _names(names: Mapping[str, str] | Sequence[str]) -> str:
    return printable(", ".join(sorted(names)))


def _networks(plan: RunPlan) -> dict[str, str]:
    """Each network, named without its layer → the run's name of it.

    Raises:
        Mismatch: the run has one at two layers.
    """
    found: dict[str, str] = {}
    for spec in plan.backbones:
        network = replace(spec, layer=None).name
        if network in found:
            raise Mismatch(
                f"{network} stands twice in one run, at two layers", "give each layer its own run"
            )
        found[network] = spec.name
    return found


def _choices(reader: RunReader) -> dict[str, str]:
    """A run's value of each of ``CHOICES``; the layers are those of its loaded networks."""
    plan, loaded = reader.plan(), reader.backbones()
    layers = [facts.layer for name in _networks(plan).values() if (facts := loaded.get(name))]
    return {
        name: printable(", ".join(layers) if name == "layer" else getattr(plan, name))
        for name in CHOICES
    }


def _by_network(reader: RunReader) -> dict[str, dict[str, CellView]]:
    """The cells that may be ranked, by network and method."""
    views = cell_views(reader)
    return {
        network: {
            view.cell.method: view
            for view in views
            if view.cell.backbone == name and not (view.control or view.unranked)
        }
        for network, name in _networks(reader.plan()).items()
    }


def _ranking(
    metric: Metric,
    network: str,
    readers: Sequence[RunReader],
    views: Sequence[Mapping[str, CellView]],
    runs: Sequence[ProtocolRun],
) -> Ranking:
    """Rank one network's methods; methods that are one map in every run count once."""
    every = dict.fromkeys(method for one in views for method in one)
    twins = [
        method
        for method in every
        if all(method in one and one[method].twin in every for one in views)
    ]
    asked = [method for method in every if method not in twins]
    shown = [
        method
        for method in asked
        if all(method in one and one[method].mean(metric.key) for one in views)
    ]
    averages = [
        [mean.value for method in shown if (mean := one[method].mean(metric.key))] for one in views
    ]
    concerned = {"layer", *(option.name for option in options_of([metric]))}
    ranks = [ranked([-metric.sign * value for value in one]) for one in averages]
    verdicts = [
        _verdicts(metric, reader, [one[method] for method in shown])
        for reader, one in zip(readers, views, strict=True)
    ]
    return Ranking(
        metric.key,
        network,
        kendall_w(ranks),
        tuple(
            RankedMethod(
                method, tuple(one[at] for one in averages), tuple(one[at] for one in ranks)
            )
            for at, method in enumerate(shown)
        ),
        tuple(
            _pair(shown[a], shown[b], [one[a, b] for one in verdicts], runs, concerned)
            for a, b in combinations(range(len(shown)), 2)
        ),
        tuple(method for method in asked if method not in shown),
    )


def _verdicts(
    metric: Metric, reader: RunReader, views: Sequence[CellView]
) -> dict[tuple[int, int], Verdict]:
    """Every pair of one run's cells: paired t tests, all of them together (Holm 1979)."""
    found = {
        (a, b): reader.averages.paired(metric.key, views[a].cell.id, views[b].cell.id)
        for a, b in combinations(range(len(views)), 2)
    }
    p = {
        pair: one.p
        for pair, one in found.items()
        if one is not None and one.tested and one.p is not None
    }
    fallen = holm_separated(p)
    return {
        pair: "untested"
        if pair not in p or one is None
        else "tie"
        if pair not in fallen
        else "better"
        if metric.sign * one.value > 0
        else "worse"
        for pair, one in found.items()
    }


def _pair(
    first: str,
    second: str,
    verdicts: Sequence[Verdict],
    runs: Sequence[ProtocolRun],
    concerned: Set[str],
) -> RankedPair:
    """Count a pair's verdicts, and tell which of the choices that its metric depends on flip it."""
    changed = {
        frozenset(
            name
            for name, value in runs[a].choices.items()
            if name in concerned and value != runs[b].choices[name]
        )
        for a, b in combinations(range(len(runs)), 2)
        if {verdicts[a], verdicts[b]} == {"better", "worse"}
    }
    least = [one for one in changed if one and not any(other and other < one for other in changed)]
    flips = sorted(" + ".join(name for name in CHOICES if name in one) for one in least)
    counts = Counter(verdicts)
    return RankedPair(
        first,
        second,
        tuple(verdicts),
        counts["better"],
        counts["worse"],
        counts["tie"],
        counts["untested"],
        tuple(flips),
    )


def ranked(values: Sequence[float]) -> list[float]:
    """Ranks from 1 for the smallest; equal values share the mean of theirs.

    >>> ranked([0.3, 0.1, 0.3])
    [2.5, 1.0, 2.5]
    """
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def kendall_w(ranks: Sequence[Sequence[float]]) -> float | None:
    """Kendall's coefficient of concordance, in [0, 1], corrected for ties (Siegel 1956).

    ``W = 12 Σ (R_i − R̄)² / (m² (n³ − n) − m Σ (t³ − t))`` of the sums R_i of each method's ranks in
    m runs, t being how many methods share a rank.

    Args:
        ranks: of n methods, for each of the runs.

    Returns:
        ``None`` where there is no order at all.

    >>> kendall_w([[1, 2, 3], [1, 2, 3]]), kendall_w([[1, 2, 3], [3, 2, 1]])
    (1.0, 0.0)
    """
    runs, methods = len(ranks), len(ranks[0])
    sums = [sum(one) for one in zip(*ranks, strict=True)]
    spread = sum((one - runs * (methods + 1) / 2) ** 2 for one in sums)
    ties = sum(count**3 - count for one in ranks for count in Counter(one).values())
    most = runs**2 * (methods**3 - methods) - runs * ties
    return min(1.0, 12 * spread / most) if most else None


def said(name: str) -> str:
    """A choice as it is typed: ``curve-steps``."""
    return PROTOCOL[name].flag.removeprefix("--")


def ranks_table(found: Ranks, ranking: Ranking, digits: int) -> Table:
    """Return the ranks of the methods in each run, with their averages."""
    columns = (
        TableColumn("method", "method", "Method", numeric=False),
        *(TableColumn(f"{at}", f"run {at}", f"Run {at}") for at in range(1, len(found.runs) + 1)),
    )
    rows = tuple(
        TableRow(
            (
                Entry(one.method),
                *(
                    Entry(f"{rank:g}", f"({percent(average, digits)})")
                    for rank, average in zip(one.ranks, one.averages, strict=True)
                ),
            )
        )
        for one in sorted(ranking.methods, key=lambda one: one.ranks)
    )
    w = "–" if ranking.w is None else f"{ranking.w:.3f}"
    notes = [
        f"run {at}: {one.run} ("
        + ", ".join(f"{said(name)} {value}" for name, value in one.choices.items())
        + ")"
        for at, one in enumerate(found.runs, 1)
    ]
    if ranking.lacking:
        notes.append(f"without a rank in some run: {', '.join(ranking.lacking)}")
    header = metric_header(catalog.metric(ranking.metric), long=True)
    title = f"{ranking.backbone} · {header} · ranks in {len(found.runs)} runs · Kendall's W {w}"
    return Table(title, columns, (Block("", rows),), tuple(notes))


def pairs_table(ranking: Ranking) -> Table:
    """Return the pairs on which the runs are not of one mind, flipped ones first."""
    columns = (
        TableColumn("first", "method", "Method", numeric=False),
        TableColumn("second", "against", "Against", numeric=False),
        *(TableColumn(key, key, key.capitalize()) for key in ("better", "worse", "tied")),
        TableColumn("flip", "flipped by", "Flipped by", numeric=False),
    )
    unsteady = [pair for pair in ranking.pairs if not pair.steady]
    rows = tuple(
        TableRow(
            (
                Entry(pair.first),
                Entry(pair.second),
                *(Entry(count(number)) for number in (pair.better, pair.worse, pair.tied)),
                Entry(
                    ", ".join(" + ".join(map(said, one.split(" + "))) for one in pair.flipped_by)
                    or ABSENT
                ),
            )
        )
        for pair in sorted(unsteady, key=lambda pair: not (pair.better and pair.worse))
    )
    steady = len(ranking.pairs) - len(unsteady)
    turned = sum(bool(pair.better and pair.worse) for pair in ranking.pairs)
    notes = (
        f"{count(turned)} of {count(len(ranking.pairs))} pairs turn round; "
        f"{count(steady)} are the same in every run, and not listed",
        "tied: not separated by the paired t test, 5 % over all pairs of the run (Holm)",
    )
    title = f"{ranking.backbone} · pairs that the protocol changes"
    return Table(title, columns, (Block("", rows),), notes)

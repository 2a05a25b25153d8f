"""One page over several runs: of one protocol as one ranking, of several by what survives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, TextIO

from camtui.compare import Values, protocol_differences, values_of
from camtui.figures.report import (
    answer_html,
    begin_page,
    drawn,
    end_page,
    escape,
    rank_chart,
    ranking_table,
    section,
    table_html,
)
from camtui.format.cells import CellView, answers, cell_views, rank_cells
from camtui.format.notes import block_notes
from camtui.format.numbers import ABSENT, count, metric_header
from camtui.format.table import Block, Entry, Table, TableColumn, TableRow
from camtui.format.terms import backbone_title, method_title
from camtui.ranks import Ranking, Ranks, pairs_table, ranks_of, ranks_table, refuse_strangers, said
from evaluator import catalog
from evaluator.catalog import known_metrics
from evaluator.errors import Mismatch, UsageError
from evaluator.metrics.base import Metric
from evaluator.statistics import HEADLINES, PairedDifference, paired_difference
from evaluator.text import counted, printable

if TYPE_CHECKING:
    from evaluator.store.reader import RunReader


def write_together(
    stream: TextIO, readers: Sequence[RunReader], checked: Sequence[str], *, charts: bool = True
) -> list[str]:
    """Write the page.

    Args:
        checked: what is known of whether each run was verified, in words.

    Returns:
        What had to be left out and why, a line each.

    Raises:
        Mismatch: the runs do not belong together; the message says what differs.
        UsageError: a run is named twice.
    """
    names = [printable(reader.info().name) for reader in readers]
    if len({reader.path.resolve() for reader in readers}) < len(readers):
        raise UsageError("a run is named twice", f"camtui report {' '.join(dict.fromkeys(names))}")
    plans = [set(reader.plan().metrics) for reader in readers]
    metrics = [one for key, one in known_metrics().items() if all(key in plan for plan in plans)]
    different = dict.fromkeys(
        text
        for first, other in combinations(readers, 2)
        for text in protocol_differences(first, other, metrics)
    )
    runs = list(section("Runs", table_html(_runs_table(readers, names, checked))))
    title = f"{', '.join(names)} · {counted(readers[0].images_wanted(), 'image')}"
    missing: list[str] = []
    if different:
        found = _under_protocols(readers, metrics, list(different))
        body = _protocols_page(found, missing, charts=charts)
    else:
        for first, other in combinations(readers, 2):
            refuse_strangers(first, other, whole=False)
        _refuse_other_pictures(readers, names)
        body = _ranking_page(_join(readers, names, metrics), metrics, missing, charts=charts)
    parts = list(body)
    begin_page(stream, title)
    stream.writelines([*parts, *runs])
    end_page(stream, missing)
    return missing


def _runs_table(
    readers: Sequence[RunReader], names: Sequence[str], checked: Sequence[str]
) -> Table:
    titles = {
        "run": "Run",
        "networks": "Networks",
        "methods": "Methods",
        "made": "Made by",
        "verified": "Verified",
    }
    columns = tuple(TableColumn(key, key, title, numeric=False) for key, title in titles.items())
    rows = []
    for reader, name, told in zip(readers, names, checked, strict=True):
        plan, versions = reader.plan(), reader.info().versions
        words = (
            name,
            ", ".join(backbone_title(spec.name) for spec in plan.backbones),
            ", ".join(map(method_title, plan.methods)),
            f"camtui {versions.get('camtui', ABSENT)}, torch {versions.get('torch', ABSENT)}",
            told,
        )
        rows.append(TableRow(tuple(map(Entry, words))))
    note = "camtui verify RUN --json > FILE makes what --verified FILE shows here"
    return Table("", columns, (Block("", tuple(rows)),), (note,))


def _refuse_other_pictures(readers: Sequence[RunReader], names: Sequence[str]) -> None:
    """Refuse runs of images of one name and size that are not the same.

    Raises:
        Mismatch: names the first.
    """
    known: dict[bytes, tuple[bytes, str]] = {}
    for reader, name in zip(readers, names, strict=True):
        for image in reader.images.between(0, reader.info().image_count):
            if image.content is None:
                continue
            content, where = known.setdefault(image.path, (image.content, name))
            if content != image.content:
                raise Mismatch(
                    f"{where} and {name} have another image each as {printable(image.path)}",
                    "leave one of them out of the report",
                )


# -- one protocol
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Joined:
    """The cells of several runs, numbered anew.

    Attributes:
        names: of those that more than one run has: with the run's name.
    """

    readers: Sequence[RunReader]
    views: list[CellView]
    origins: Mapping[int, tuple[int, CellView]]
    names: Mapping[int, str]

    def paired(self, metric: str, first: int, second: int) -> PairedDifference | None:
        """Return first minus second over their common images, by path."""
        (mine, one), (theirs, other) = self.origins[first], self.origins[second]
        if mine == theirs:
            return self.readers[mine].averages.paired(metric, one.cell.id, other.cell.id)
        needed = HEADLINES[metric].sources if metric in HEADLINES else (metric,)
        here, there = self._values(first), self._values(second)
        return paired_difference(
            metric,
            [
                (values, there[path])
                for path, values in here.items()
                if path in there and all(key in values and key in there[path] for key in needed)
            ],
        )

    @lru_cache(maxsize=4)  # noqa: B019  it lives as long as the page is written
    def _values(self, cell: int) -> dict[bytes, Values]:
        at, view = self.origins[cell]
        return dict(values_of(self.readers[at], view.cell))

    def __hash__(self) -> int:
        """Of the object: what it has does not change."""
        return id(self)


def _join(readers: Sequence[RunReader], names: Sequence[str], metrics: Sequence[Metric]) -> Joined:
    """Return the cells of all runs with their ranks among all of a network's."""
    every = [(at, view) for at, reader in enumerate(readers) for view in cell_views(reader)]
    origins = dict(enumerate(every, 1))
    views = [
        replace(view, cell=replace(view.cell, id=id_), marks={}, rivals={})
        for id_, (_, view) in origins.items()
    ]
    times = Counter((view.cell.backbone, view.cell.method) for view in views)
    titles = {
        view.cell.id: f"{method_title(view.cell.method)} ({names[origins[view.cell.id][0]]})"
        for view in views
        if times[view.cell.backbone, view.cell.method] > 1
    }
    joined = Joined(readers, views, origins, titles)
    for backbone in dict.fromkeys(view.cell.backbone for view in views):
        group = [view for view in views if view.cell.backbone == backbone]
        for metric in metrics:
            marks = rank_cells(group, metric, joined.paired)
            for view in group:
                if view.cell.id in marks:
                    view.marks[metric.key] = marks[view.cell.id]
    return joined


def _ranking_page(
    joined: Joined, metrics: Sequence[Metric], missing: list[str], *, charts: bool
) -> Iterator[str]:
    views = joined.views

    def heading(name: str, group: Sequence[CellView]) -> Block:
        return Block(backbone_title(name), (), tuple(block_notes(group)))

    table = ranking_table("", views, metrics, heading, joined.names)
    notes = (
        "± half of the 95 % interval; bold: best, underlined: second; = not separated from the "
        "best: paired t test over common images, 5 %, Holm over a network's methods",
        "controls are not ranked",
    )
    found = answers(views, joined.paired)
    body = (
        answer_html(found, views, joined.names)
        if found
        else ["<p>No method is best: too few images.</p>\n"]
    )
    yield from section("Answer", body)
    if charts:
        yield from section("Ranks", rank_chart(views, missing, joined.names))
    yield from section("Averages", table_html(replace(table, notes=notes)))


# -- several protocols
# --------------------------------------------------------------------------------------------------


def _under_protocols(
    readers: Sequence[RunReader], metrics: Sequence[Metric], different: Sequence[str]
) -> Ranks:
    """Return the ranks of runs of the same images, networks and methods.

    Raises:
        Mismatch: they differ in more than the choices that ``ranks`` knows, or in nothing that
            a metric depends on.
    """
    try:
        return ranks_of(readers, metrics)
    except UsageError as error:
        raise Mismatch(
            f"the runs have different protocols ({'; '.join(different)})",
            "set runs side by side that differ in masking, removed state, target, resize, layer or "
            "steps: camtui show RUN",
        ) from error


def _protocols_page(found: Ranks, missing: list[str], *, charts: bool) -> Iterator[str]:
    leading = [one for one in found.rankings if one.metric == "adcc"] or list(found.rankings)
    yield from section("Answer", _survival(found, leading))
    if charts:
        yield from section("Ranks in each run", _bumps(found, leading, missing))
    yield from section("Agreement", table_html(_agreement(found)))
    tables = (
        text
        for one in leading
        for table in (ranks_table(found, one, 2), pairs_table(one))
        for text in (f"<h3>{escape(table.title)}</h3>\n", *table_html(table))
    )
    yield from section("Pairs", tables)


def _survival(found: Ranks, rankings: Sequence[Ranking]) -> Iterator[str]:
    """Yield an item for each network: do its orders survive the protocol, and who is first."""
    yield '<ul class="answer">\n'
    for one in rankings:
        turned = sum(bool(pair.better and pair.worse) for pair in one.pairs)
        flips = dict.fromkeys(
            " + ".join(map(said, flip.split(" + ")))
            for pair in one.pairs
            for flip in pair.flipped_by
        )
        firsts = Counter(
            min(one.methods, key=lambda method: method.ranks[at]).method
            for at in range(len(found.runs))
        )
        first = ", ".join(
            f"{escape(method_title(method))} in {n} of {len(found.runs)}"
            for method, n in firsts.most_common()
        )
        w = "" if one.w is None else f"; Kendall's W {one.w:.2f}"
        words = (
            f"<b>{escape(backbone_title(one.backbone))}: {turned} of "
            f"{counted(len(one.pairs), 'pair')}</b> of methods turn round in "
            f"{escape(catalog.metric(one.metric).title)}{w}. First: {first}."
        )
        if flips:
            words += f" Turned by {escape(', '.join(flips))}."
        yield f"<li>{words}</li>\n"
    yield "</ul>\n"
    for run in found.runs:
        choices = ", ".join(f"{said(name)} {value}" for name, value in run.choices.items())
        yield f'<p class="note">{escape(f"{run.run}: {choices}")}</p>\n'


def _bumps(found: Ranks, rankings: Sequence[Ranking], missing: list[str]) -> Iterator[str]:
    """Yield how ranks change from run to run, a chart for each network."""
    from camtui.figures.charts import Ranked, bump

    places = ["\n".join((one.run, *one.choices.values())) for one in found.runs]
    yield '<div class="charts">\n'
    for one in rankings:
        ranks = {method.method: method.ranks for method in one.methods}
        try:
            figure = bump([Ranked(backbone_title(one.backbone), places, ranks)])
        except UsageError as error:
            missing.append(f"charts: {error.message}; {error.hint}")
            break
        yield drawn(figure, f"Rank in {one.metric} in each run: {backbone_title(one.backbone)}")
    yield "</div>\n"


def _agreement(found: Ranks) -> Table:
    """Every metric on every network: how far the runs agree."""
    columns = (
        TableColumn("metric", "metric", "Metric", numeric=False),
        TableColumn("network", "network", "Network", numeric=False),
        *(
            TableColumn(key, key, title)
            for key, title in (
                ("w", "Kendall's W"),
                ("pairs", "Pairs"),
                ("same", "Same in every run"),
                ("turned", "Turned round"),
            )
        ),
    )
    rows = tuple(
        TableRow(
            (
                Entry(metric_header(catalog.metric(one.metric), long=True)),
                Entry(backbone_title(one.backbone)),
                Entry(ABSENT if one.w is None else f"{one.w:.3f}"),
                Entry(count(len(one.pairs))),
                Entry(count(sum(pair.steady for pair in one.pairs))),
                Entry(count(sum(bool(pair.better and pair.worse) for pair in one.pairs))),
            )
        )
        for one in found.rankings
    )
    note = "same: one verdict of the paired t test in every run (5 % over a network's pairs, Holm)"
    return Table("", columns, (Block("", rows),), (note,))

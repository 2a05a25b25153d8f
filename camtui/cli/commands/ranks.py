"""``camtui ranks``: which orders of methods survive the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, stdout_console
from camtui.cli.options import DigitsOption, JsonOption
from camtui.runs import open_run
from evaluator import catalog

if TYPE_CHECKING:
    from camtui.format import Table
    from camtui.ranks import Ranking, Ranks
    from camtui.schemas import RanksPayload

app = command_app()


@app.command(cls=Command)
def ranks(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs of the same images, networks and methods.",
            autocompletion=completion.runs,
        ),
    ],
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            metavar="LIST",
            help="Which metrics.",
            autocompletion=completion.metric_lists,
        ),
    ] = ["adcc"],  # noqa: B006  read only
    digits: DigitsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Tell which orders of methods survive the protocol.

    The runs differ in choices of the protocol: masking, removed state, target, resize, layer,
    steps of curves. For each pair of methods: in how many runs the first is better, worse, or tied
    by the paired t test (5 % over all pairs of a network, Holm), and which choice turns better into
    worse. Kendall's W says how far all runs agree: 1 where they order the methods alike.

    Example: camtui ranks val val-pixels val-label --metric adcc,average_drop
    """
    from camtui.ranks import ranks_of

    wanted = [catalog.metric(key) for key in catalog.split_list(metric)]
    found = ranks_of([open_run(run) for run in runs], wanted)
    if as_json:
        from camtui.export.records import SCHEMA_VERSION

        payload: RanksPayload = {
            "schema_version": SCHEMA_VERSION,
            "runs": list(found.runs),
            "rankings": list(found.rankings),
        }
        print_json(payload)
        return
    from camtui.format import print_lines, table_lines

    for ranking in found.rankings:
        for table in (_ranks_table(found, ranking, digits), _pairs_table(ranking)):
            print_lines([*table_lines(table), []], stdout_console())


def _ranks_table(found: Ranks, ranking: Ranking, digits: int) -> Table:
    """Ranks of the methods in each run, with their averages."""
    from camtui.format import Block, Entry, Table, TableColumn, TableRow, metric_header, percent
    from camtui.ranks import said

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


def _pairs_table(ranking: Ranking) -> Table:
    """Pairs on which the runs are not of one mind, flipped ones first."""
    from camtui.format import ABSENT, Block, Entry, Table, TableColumn, TableRow, count
    from camtui.ranks import said

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

"""``camtui ranks``: which orders of methods survive the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, stdout_console
from camtui.cli.options import DigitsOption, JsonOption, WideOption
from camtui.runs import open_run
from evaluator import catalog

if TYPE_CHECKING:
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
    wide: WideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell which orders of methods survive the protocol.

    The runs differ in choices of the protocol: masking, removed state, target, resize, layer,
    steps of curves. For each pair of methods: in how many runs the first is better, worse, or tied
    by the paired t test (5 % over all pairs of a network, Holm), and which choice turns better into
    worse. Kendall's W says how far all runs agree: 1 where they order the methods alike.

    Example: camtui ranks val val-pixels val-label --metric adcc,average_drop
    """
    from camtui.ranks import pairs_table, ranks_of, ranks_table

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
    from camtui.format import print_lines, screen_lines

    console = stdout_console()
    for ranking in found.rankings:
        for table in (ranks_table(found, ranking, digits), pairs_table(ranking)):
            print_lines([*screen_lines(table, console.width, wide=wide), []], console)

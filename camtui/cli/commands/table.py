"""``camtui table``: the averages of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command import Command, command_app, grouped
from camtui.cli.console import stdout_console
from camtui.cli.options import RunArgument, TableSelection, WideOption, export_request, to_stdout
from camtui.runs import LAST, open_run

app = command_app()


@app.command(cls=Command)
@grouped
def table(
    selected: TableSelection,
    run: RunArgument = LAST,
    form: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="table, plain, md, json, csv, tsv or latex."
        ),
    ] = "table",
    wide: WideOption = False,
) -> None:
    """Print the averages of a run.

    Metrics in percent, in the paper's order, one block per network. ADCC is the harmonic mean of
    the averaged components, as in the paper's tables. * marks the best of a network, = what ties
    with it by a paired test, ~ averages over part of the images. Controls (Fake-CAM and kin) take
    no part in the ranks. Columns that do not fit the terminal are left out, and named. json, csv
    and tsv carry fractions at full precision.

    Example: camtui table val --sort adcc --ci
    """
    request = export_request("plain" if form == "table" else form, selected)
    reader = open_run(run)
    if form == "table":
        from camtui.export import check, table_of
        from camtui.format import best_of, print_lines, screen_lines

        check(request)
        found, console = table_of(reader, request), stdout_console()
        of_methods = request.layout == "blocks" and not request.by
        said = best_of(reader, request.options) if of_methods else []
        lines = screen_lines(found, console.width, said=said, wide=wide)
        print_lines(lines, console)
    else:
        to_stdout(reader, request)

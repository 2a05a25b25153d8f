"""``camtui table``: the averages of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command import Command, command_app, grouped
from camtui.cli.console import stdout_console
from camtui.cli.options import RunArgument, TableSelection, export_request, to_stdout
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
) -> None:
    """Print the averages of a run.

    Metrics in percent, in the paper's order, one block per backbone. ADCC is the harmonic mean of
    the averaged components, as in the paper's tables. * marks the best of a backbone, = what ties
    with it by a paired test, ~ a cell that has not seen every image. Controls (Fake-CAM and kin)
    take no part in the ranks. json, csv and tsv carry fractions at full precision.

    Example: camtui table val --sort adcc --ci
    """
    request = export_request("plain" if form == "table" else form, selected)
    reader = open_run(run)
    if form == "table":
        from camtui.export import check, table_of
        from camtui.format import print_lines, table_lines

        check(request)
        print_lines(table_lines(table_of(reader, request)), stdout_console())
    else:
        to_stdout(reader, request)

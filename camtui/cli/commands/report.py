"""``camtui report``: one self-contained page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.options import ForceOption, NamedDataOption, RunArgument
from camtui.runs import name_folder, open_run
from evaluator.text import printable

app = command_app()


@app.command(cls=Command)
def report(
    run: RunArgument,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page, an .html file.")
    ],
    worst: Annotated[
        int,
        typer.Option(
            "--worst", metavar="N", min=0, help="How many of the worst images of each network."
        ),
    ] = 6,
    charts: Annotated[
        bool, typer.Option("--charts/--no-charts", help="Charts need matplotlib.")
    ] = True,
    force: ForceOption = False,
    data: NamedDataOption = None,
) -> None:
    """Write one self-contained page about a run.

    Table, charts, worst images, failures, protocol, and the plan that makes the run again.

    Example: camtui report val -o val.html
    """
    from camtui.export.output import as_text, check_free, destination
    from camtui.export.records import plan_toml
    from camtui.figures.report import ReportOptions, write_report

    name_folder(data)
    target = Path(output)
    check_free(target, force=force)
    reader = open_run(run)
    with destination(target, force=force) as binary, as_text(binary) as stream:
        missing = write_report(stream, reader, plan_toml(reader), ReportOptions(worst, charts))
    for line in missing:
        print_message(f"left out: {line}")
    print_message(f"wrote {printable(target)}")

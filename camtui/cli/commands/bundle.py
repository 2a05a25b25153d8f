"""``camtui bundle``: a run as a folder that others can read and check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.cli.options import RunArgument
from camtui.runs import open_run
from evaluator.text import printable

app = command_app()


@app.command(cls=Command)
def bundle(
    run: RunArgument,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DIR", help="A folder that is not there yet."),
    ],
) -> None:
    """Write a run as a folder for others, without pixels or paths.

    Averages and images as CSV, every row as Parquet (CSV without pyarrow), the plan, a report,
    what to cite, the run itself for camtui watch, and a manifest with the hash of each file. What
    is there is never written over. camtui verify DIR checks it.

    Example: camtui bundle val -o val-bundle
    """
    from camtui.bundle import make_bundle

    target = Path(output).expanduser()
    with open_run(run) as reader:
        left_out = make_bundle(reader, target)
    for line in left_out:
        print_message(f"left out: {line}")
    print_message(f"wrote {printable(target)}; whoever gets it: camtui verify {printable(target)}")

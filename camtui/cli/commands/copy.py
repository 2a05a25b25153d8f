"""``camtui copy``: a whole copy of a run, also of one that goes on."""

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
def copy(
    run: RunArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to; it must not be there yet.")
    ],
) -> None:
    """Copy a run to one file, also while it goes on.

    The copy holds everything that is committed, and needs no other file beside it; the run's own
    file has a write-ahead log while it is written, without which a plain copy lacks the newest
    rows.

    Example: camtui copy val /backup/val.db
    """
    target = Path(file).expanduser()
    with open_run(run) as reader:
        reader.copy_to(target)
    print_message(f"wrote {printable(target)}")

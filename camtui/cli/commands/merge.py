"""``camtui merge``: one run out of several that measured the same."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from camtui.runs import find_run, name_for, reference, run_path
from evaluator.errors import UsageError

app = command_app()


@app.command(cls=Command)
def merge(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN…",
            help="Two or more runs, by name or path.",
            autocompletion=completion.runs,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="NAME|FILE.db", help="Of the new run; not there yet."
        ),
    ],
) -> None:
    """Make one run out of several that have one protocol.

    Plan, image hashes, networks and methods must be the same where two runs have them, and so must
    every value that two runs have; else the merge is refused with what differs. Sums are computed
    anew from the rows. The result opens, goes on and grows as any run.

    Example: camtui merge monday tuesday -o both
    """
    from evaluator.execution.merge import merge_runs
    from evaluator.store.reader import RunReader

    if len(runs) < 2:
        raise UsageError("a merge takes two runs or more", "camtui merge A B -o C")
    named = "/" not in output and not output.endswith(".db")
    target = run_path(output) if named else Path(output).expanduser().absolute()
    with ExitStack() as stack:
        readers = [stack.enter_context(RunReader(find_run(run))) for run in runs]
        merge_runs(readers, target, output if named else name_for(target.stem))
    print_message(f"wrote {reference(target)}: camtui table {reference(target)}")

"""``camtui status``: how a run is doing, in a few lines."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line
from camtui.cli.options import JsonOption, RunArgument
from camtui.runs import LAST, find_run, reference
from camtui.status import RunStatus, status_in
from evaluator.text import printable

app = command_app()


@app.command(cls=Command)
def status(
    run: RunArgument = LAST,
    json: JsonOption = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit 0 running or complete, 1 failed or crashed, 3 stopped."),
    ] = False,
) -> None:
    """Show how a run is doing, and what to type now.

    Example: camtui status val --json
    """
    found = status_in(find_run(run))
    if json:
        print_json(found.record())
    else:
        for line in _status_lines(found):
            print_line(line, 10)
    if check:
        raise typer.Exit(found.check_code)


def _status_lines(found: RunStatus) -> list[str]:
    from camtui.format.notes import look_text
    from camtui.format.numbers import count, duration, rate
    from camtui.format.terms import percent_done, time_left

    lines = [f"run       {found.run} ({printable(found.db)})"]
    state = f"{found.state}, pid {found.pid}" if found.pid else found.state
    lines.append(f"state     {state}{': ' + found.message if found.message else ''}")
    if found.stage:
        lines.append(
            f"stage     {found.stage_number} of {found.stages}: {found.stage}, "
            f"{count(found.done)} of {count(found.total)}"
        )
    speed = f", {rate(found.images_per_second)}" if found.images_per_second else ""
    lines.append(
        f"progress  {percent_done(found, 1)} after "
        f"{duration(found.elapsed_seconds)}{speed}{time_left(found)}"
    )
    lines.append(f"images    {count(found.images)}")
    if found.until is not None and found.state != "complete":  # whose message says it
        lines.append(f"until     {look_text(found.until, found.images)}")
    if found.failures:
        lines.append(f"failures  {found.failed}: camtui errors {reference(found.db)}")
    if found.restarts:
        lines.append(
            f"restarts  {count(found.restarts)} of workers: camtui logs {reference(found.db)}"
        )
    return [*lines, f"next      {found.advice}"]

"""``camtui wait``: until a run has ended, for scripts."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import JsonOption, RunArgument
from camtui.runs import LAST, find_run
from camtui.status import RunStatus, status_in
from evaluator.errors import UsageError
from evaluator.store.files import lock_holder
from evaluator.text import printable

app = command_app()


@app.command(cls=Command)
def wait(
    run: RunArgument = LAST,
    timeout: Annotated[
        str, typer.Option(metavar="90s|30m|2h", help="Give up after so long, with exit code 124.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Wait until a run has ended; the exit code says how.

    0 complete, 1 failed or crashed, 3 stopped, 5 too many failures, 124 not within --timeout.

    Example: camtui wait val --timeout 2h
    """
    path = find_run(run)
    limit = time.monotonic() + _seconds(timeout) if timeout else float("inf")
    while True:
        found = status_in(path)
        if not found.live and lock_holder(path) is None:
            _tell(
                found,
                f"{found.run}: {found.state}{': ' + found.message if found.message else ''}; "
                f"{found.advice}",
                json,
            )
            raise typer.Exit(5 if found.exit_code == 5 else found.check_code)
        if time.monotonic() >= limit:
            _tell(
                found, f"{found.run} is still {found.state} after {timeout}: {found.advice}", json
            )
            raise typer.Exit(124)
        time.sleep(min(0.25, max(0.0, limit - time.monotonic())))


def _tell(found: RunStatus, words: str, as_json: bool) -> None:
    if as_json:
        print_json(found.record())
    else:
        print_message(words)


def _seconds(text: str) -> float:
    """``90``, ``90s``, ``30m``, ``2h``, ``1d`` in seconds."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(
            f"'{printable(text)}' is no duration", "for example --timeout 90s, 30m or 2h"
        )
    return value

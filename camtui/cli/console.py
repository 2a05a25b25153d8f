"""Output of commands: data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from camtui.format.numbers import count, duration, rate
from camtui.format.terms import percent_done, time_left
from camtui.runs import reference
from camtui.status import RunStatus, read_status
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader
from evaluator.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from camtui.payloads import ErrorPayload


def has_screen() -> bool:
    """Return whether input, output and errors are a terminal, as the dashboard needs."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


@cache
def stdout_console() -> Console:
    """Return the console for tables, in colour on a terminal or by ``FORCE_COLOR``."""
    from rich.console import Console

    class QuietPipe(Console):
        """A console that raises where the reader has gone; rich would exit with code 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    forced = bool(os.environ.get("FORCE_COLOR"))
    return QuietPipe(
        force_terminal=True if forced else None,
        no_color=False if forced else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_json(value: Any) -> None:
    """Print one line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def print_message(text: str) -> None:
    """Print one line on standard error: progress, warnings, what happens next."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def print_error(
    kind: str, message: str, hint: str = "", *, run: str | None = None, as_json: bool = False
) -> None:
    """Print an error on standard error; with ``--json`` also, for programs, on standard output."""
    if as_json:
        payload: ErrorPayload = {
            "error": {
                "kind": kind,
                "message": printable(message),
                "hint": printable(hint),
                "run": run,
            }
        }
        print_json(payload)
    red, grey, end = ("\x1b[31m", "\x1b[2m", "\x1b[0m") if _colours(sys.stderr) else ("", "", "")
    sys.stderr.write(f"{red}error:{end} {printable(message)}\n")
    if hint:
        sys.stderr.write(f"{grey}hint:{end}  {printable(hint)}\n")
    sys.stderr.flush()


def confirm(question: str, yes: bool) -> bool:
    """Ask whether the user agrees; without a terminal to ask on, only ``--yes`` does.

    Raises:
        UsageError: there is nobody to ask.
    """
    import typer

    if yes:
        return True
    if not sys.stdin.isatty():
        from evaluator.errors import UsageError

        raise UsageError(f"{printable(question)} (there is no terminal to ask on)", "add --yes")
    return typer.confirm(printable(question), err=True)


def close_quietly() -> None:
    """Send what is still buffered nowhere, since standard output has no reader any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _colours(stream: TextIO) -> bool:
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and "NO_COLOR" not in os.environ


LINE_SECONDS = 5.0
"""Between two lines that differ in numbers only."""

_POLL_SECONDS = 0.25
_CLOSING_SECONDS = 15.0


def follow(path: Path, *, quiet: bool = False) -> RunStatus:
    """Print what changes until the run has ended, and return how it ended.

    Raises:
        KeyboardInterrupt: Ctrl-C; the run goes on.
    """
    with RunReader(path) as reader:
        last = max((event.id for event in reader.events(limit=1)), default=0)
        printed: RunStatus | None = None
        printed_at = 0.0
        while True:
            status = read_status(reader, path)
            if not quiet:
                last = _print_troubles(reader, last)
                if _worth_a_line(printed, status, time.monotonic() - printed_at):
                    print_message(status_line(status))
                    printed, printed_at = status, time.monotonic()
            if not status.live:
                _wait_until_closed(path)
                return status
            time.sleep(_POLL_SECONDS)


def _print_troubles(reader: RunReader, after: int) -> int:
    """Print warnings and errors that are new, and return the newest event's id."""
    for event in reader.events(after):
        if event.level != "info":
            print_message(f"{event.level}: {event.text}")
        after = event.id
    return after


def _worth_a_line(printed: RunStatus | None, status: RunStatus, seconds: float) -> bool:
    if printed is None or (printed.state, printed.stage) != (status.state, status.stage):
        return True
    return seconds >= LINE_SECONDS and (printed.done, printed.failures) != (
        status.done,
        status.failures,
    )


def status_line(status: RunStatus) -> str:
    """Return the run in one line: state, stage, images, rate, time left."""
    parts = [f"{status.name}: {status.state}"]
    if not status.live:
        parts.append(f"{count(status.images)} images in {duration(status.elapsed)}")
    elif status.stage:
        parts.append(f"stage {status.stage_number}/{status.stages} {status.stage}")
        parts.append(f"{count(status.done)}/{count(status.total)} images")
        if status.rate:
            parts.append(rate(status.rate))
        parts.append(f"{percent_done(status)}{time_left(status)}")
    else:
        parts += [_between_stages(status), status.advice]
    if status.failures:
        run = reference(status.path)
        again = "" if status.live else f", then camtui retry {run}"
        parts.append(f"{count(status.failures)} failures: camtui errors {run}{again}")
    if status.message:
        parts.append(status.message)
    return " · ".join(parts)


def _between_stages(status: RunStatus) -> str:
    """Return what a live run does while no stage is under way."""
    if status.progress < 1:
        return "loading a network"
    return "everything is computed, ending"


def _wait_until_closed(path: Path) -> None:
    """Wait until the lock is free, a moment after the last state, for the next command."""
    limit = time.monotonic() + _CLOSING_SECONDS
    while lock_holder(path) is not None and time.monotonic() < limit:
        time.sleep(0.02)

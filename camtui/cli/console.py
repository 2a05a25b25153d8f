"""Output of commands: data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

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
    """Print one line of JSON on standard output; a data class is an object of its fields."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, default=asdict) + "\n")
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

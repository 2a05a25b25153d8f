"""Output of commands: data to standard output, everything else to standard error."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import sys
from dataclasses import asdict
from functools import cache
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TextIO

from evaluator.errors import OutputUnwritable
from evaluator.text import printable, replace_unencodable

if TYPE_CHECKING:
    from rich.console import Console

    from camtui.payloads import ErrorPayload


class _Output(io.FileIO):
    """A file descriptor that says in plain words why it cannot be written."""

    def write(self, data: Any) -> int:
        """Write bytes; a reader that has gone stays a ``BrokenPipeError``.

        Raises:
            OutputUnwritable: the disk is full, or nothing is open.
        """
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            raise
        except OSError as error:
            closed = error.errno == errno.EBADF
            raise OutputUnwritable(
                f"standard output cannot be written: {'closed' if closed else error.strerror}",
                "give it another place: COMMAND > FILE; nothing of the run has changed",
            ) from error


def prepare_streams() -> None:
    """Make the standard streams such that nothing that is printed can end a command unexplained.

    Characters that their encoding lacks become look-alikes; streams that are closed are replaced.
    """
    codecs.register_error("camtui.look-alikes", replace_unencodable)
    if sys.stdout is not sys.__stdout__:
        return  # whoever has put another stream there knows what it takes
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # takes the free number, so that no file of ours gets it and is written by mistake
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
            buffer = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
            setattr(sys, name, io.TextIOWrapper(buffer, encoding="utf-8"))
    given = sys.stdout
    assert given is not None
    unbuffered = getattr(given, "write_through", False)  # PYTHONUNBUFFERED, python -u
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "wb", closefd=False)),
        encoding=given.encoding,
        errors="camtui.look-alikes",
        line_buffering=unbuffered or given.isatty(),
    )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="camtui.look-alikes")


def is_unicode(stream: TextIO) -> bool:
    """Return whether a stream takes every character."""
    return codecs.lookup(stream.encoding or "ascii").name.startswith("utf-")


def has_screen() -> bool:
    """Return whether input, output and errors are a terminal, as the dashboard needs."""
    if os.environ.get("TERM") in ("dumb", "unknown"):
        return False
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


def print_line(text: str, indent: int = 0) -> None:
    """Print one line on standard output.

    On a terminal it is folded at spaces to fit; a file or a pipe gets it whole.

    Args:
        indent: where the lines after the first begin.
    """
    for line in _folded(text, sys.stdout, indent):
        sys.stdout.write(f"{line}\n")


def print_message(text: str, indent: int | None = None) -> None:
    """Print one line on standard error: progress, warnings, what happens next.

    Args:
        indent: folds it as ``print_line`` does; without, a command in it can be copied.
    """
    shown = printable(text)
    lines = [shown] if indent is None else _folded(shown, sys.stderr, indent)
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()


def _folded(text: str, stream: TextIO, indent: int) -> list[str]:
    if not stream.isatty():
        return [text]
    return wrap(
        text,
        get_terminal_size().columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


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

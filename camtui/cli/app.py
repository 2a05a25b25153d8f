"""The one Typer application, and what every command shares: consoles, JSON, and errors turned into a line, a hint and a code."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from camtui.cli import completing
from evaluator.errors import CamtuiError
from evaluator.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from evaluator.store.reader import RunReader

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Name, unique prefix, path to a .db, or @last.", autocompletion=completing.runs)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Commands(TyperGroup):
    """The group of all commands: whatever a command raises ends here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        as_json = "--json" in [*ctx._protected_args, *ctx.args]
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except CamtuiError as error:
            print_error(error.kind, error.message, error.hint, as_json=as_json)
            raise typer.Exit(error.exit_code) from error
        except typer.TyperException as error:
            print_error("usage", error.format_message(), f"{_command_path(error)} --help", as_json=as_json)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error
        except BrokenPipeError as error:
            _close_quietly()
            raise typer.Exit(0) from error
        return result


app = typer.Typer(
    name="camtui",
    cls=Commands,
    help="Evaluate Class Activation Mapping methods over a whole data set, and watch it live in the terminal.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from camtui.versions import versions

        for name, found in versions().items():
            typer.echo(f"{name} {found}")
        raise typer.Exit


def _without_colour(wanted: bool) -> None:
    if wanted:
        os.environ.pop("FORCE_COLOR", None)
        os.environ["NO_COLOR"] = "1"


@app.callback(invoke_without_command=True)
def camtui(  # the options act in their callbacks
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions that matter.")
    ] = False,
    no_color: Annotated[  # noqa: ARG001
        bool, typer.Option("--no-color", callback=_without_colour, help="No colours.")
    ] = False,
) -> None:
    """Evaluate Class Activation Mapping methods over a whole data set, and watch it live in the terminal.

    Without a command: the dashboard of the latest run; where standard output is no terminal, its status.
    """
    if ctx.invoked_subcommand is None:
        run_command(ctx, "watch" if has_screen() else "status")


def has_screen() -> bool:
    """Whether the dashboard has a terminal to read keys from and to draw on: Textual draws on standard error."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def run_command(ctx: typer.Context, name: str, *arguments: str) -> None:
    """Run another command as if it had been typed."""
    root = ctx.find_root()
    group = root.command
    assert isinstance(group, TyperGroup)
    command = group.get_command(root, name)
    assert command is not None, f"no command {name}"
    with command.make_context(name, list(arguments), parent=root) as context:
        command.invoke(context)


@cache
def stdout_console() -> Console:
    """The console for data. Colour only on a terminal and without ``NO_COLOR``; ``FORCE_COLOR`` wins."""
    return _console(stderr=False)


@cache
def stderr_console() -> Console:
    """The console for narration, progress, warnings and hints."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    forced = bool(os.environ.get("FORCE_COLOR"))
    return Console(
        stderr=stderr,
        force_terminal=True if forced else None,
        no_color=False if forced else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def open_run(ref: str) -> RunReader:
    """The run that a word on the command line means, open for reading.

    Raises:
        NotFound: there is none.
        StoreError: its file cannot be read.
    """
    from camtui.runs import find_run
    from evaluator.store.reader import RunReader

    return RunReader(find_run(ref))


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def narrate(text: str) -> None:
    """One line on standard error: progress, warnings, what happens next."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def print_error(kind: str, message: str, hint: str = "", *, run: str | None = None, as_json: bool = False) -> None:
    """An error for people on standard error; with ``--json`` also for programs on standard output."""
    if as_json:
        print_json({"error": {"kind": kind, "message": printable(message), "hint": printable(hint), "run": run}})
    red, grey, end = ("\x1b[31m", "\x1b[2m", "\x1b[0m") if _colours(sys.stderr) else ("", "", "")
    sys.stderr.write(f"{red}error:{end} {printable(message)}\n")
    if hint:
        sys.stderr.write(f"{grey}hint:{end}  {printable(hint)}\n")
    sys.stderr.flush()


def confirm(question: str, yes: bool) -> bool:
    """Whether the user agrees; without a terminal to ask on, only ``--yes`` does.

    Raises:
        UsageError: there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        from evaluator.errors import UsageError

        raise UsageError(f"{printable(question)} (there is no terminal to ask on)", "add --yes")
    return typer.confirm(printable(question), err=True)


def _colours(stream: TextIO) -> bool:
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and "NO_COLOR" not in os.environ


def _command_path(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "camtui"


def _close_quietly() -> None:
    """Standard output has no reader any more: what is still buffered goes nowhere, without a complaint at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

"""The Typer application of ``camtui``: finds commands, turns errors into lines and exit codes."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import traceback
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from camtui.cli import commands
from camtui.cli.command import run_command, write_commands
from camtui.cli.console import close_quietly, has_screen, print_error
from evaluator.errors import CamtuiError, OutputUnwritable
from evaluator.text import did_you_mean, nearest, printable


class LazyCommands(Mapping[str, Any]):
    """Name → command; a command's module is imported when somebody asks for it."""

    def __init__(self) -> None:
        self._names = sorted(module.name for module in iter_modules(commands.__path__))
        self._made: dict[str, Any] = {}

    def __iter__(self) -> Iterator[str]:
        """Yield the names, from the listing of the folder."""
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Any:
        """Return the command of its module."""
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = get_command(import_module(f"{commands.__name__}.{name}").app)
        return self._made[name]


ALIASES = {
    "delete": "rm",
    "remove": "rm",
    "list": "ls",
    "results": "table",
    "start": "run",
    "dashboard": "watch",
}
"""Words that people type for a command of another name."""


_AS_JSON = "camtui.errors-as-json"
_MEANT = "camtui.meant"
"""Keys in ``ctx.meta``: whether errors are wanted as JSON, the command that was misspelt."""


class Commands(TyperGroup):
    """The group of all commands; turns the errors that they raise into exit codes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": {}})
        self.commands = cast(Any, LazyCommands())

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that was typed, also by another name."""
        if args[0] == "version":
            _show_version(True)
        typed = ALIASES.get(args[0], args[0])
        if typed not in self.commands and (near := nearest(typed, [*self.commands, *ALIASES])):
            ctx.meta[_MEANT] = near[0]
            ctx.fail(f"no command '{typed}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, [typed, *args[1:]])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by task."""
        write_commands(
            [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)], formatter
        )

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words before the command; note whether errors are wanted as JSON too."""
        ctx.meta[_AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        as_json = ctx.meta[_AS_JSON]
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except CamtuiError as error:
            if isinstance(error, OutputUnwritable):
                close_quietly()
            print_error(error.kind, error.message, error.hint, as_json=as_json)
            raise typer.Exit(error.exit_code) from error
        except typer.TyperException as error:
            print_error("usage", _usage_message(error), _next_command(error), as_json=as_json)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError as error:
            close_quietly()
            raise typer.Exit(0) from error
        except Exception as error:
            if os.environ.get("CAMTUI_TRACEBACK"):
                raise
            print_error(*_describe_unexpected(error), as_json=as_json)
            raise typer.Exit(1) from error
        return result


def _usage_message(error: typer.TyperException) -> str:
    """Return what is wrong with the words that were typed, in one line."""
    if (option := _unknown_option(error)) is not None:
        return f"no option '{printable(option, 60)}'"
    return " ".join(error.format_message().split()).replace("Value error, ", "")


def _describe_unexpected(error: Exception) -> tuple[str, str, str]:
    """Return kind, message and hint for a damaged file or a fault of this program."""
    if isinstance(error, sqlite3.Error):
        return "store", f"the run's file cannot be read: {error}", "camtui doctor RUN"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return (
        "unexpected",
        f"{type(error).__name__}: {printable(error, 200)}{place}",
        "is the run's file whole? camtui doctor RUN; CAMTUI_TRACEBACK=1 shows where it happened",
    )


app = typer.Typer(
    name="camtui",
    cls=Commands,
    help="Evaluate Class Activation Mapping methods over a whole data set, and watch it live "
    "in the terminal.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from camtui.runs import versions

        for name, found in versions().items():
            typer.echo(f"{name} {found}")
        raise typer.Exit


def _without_colour(wanted: bool) -> None:
    if wanted:
        os.environ.pop("FORCE_COLOR", None)
        os.environ["NO_COLOR"] = "1"


@app.callback(invoke_without_command=True)
def camtui(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001  it acts in its callback
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the versions that matter.",
        ),
    ] = False,
    no_color: Annotated[  # noqa: ARG001  it acts in its callback
        bool, typer.Option("--no-color", callback=_without_colour, help="No colours.")
    ] = False,
) -> None:
    """Evaluate Class Activation Mapping methods over a whole data set, and watch it live.

    Without a command: the dashboard of the latest run; where standard output is no terminal, its
    status.
    """
    if ctx.invoked_subcommand is None:
        run_command(ctx, "watch" if has_screen() else "status")


def _unknown_option(error: typer.TyperException) -> str | None:
    """The option that was typed and is none."""
    return getattr(error, "option_name", None) if hasattr(error, "possibilities") else None


def _next_command(error: typer.TyperException) -> str:
    """Return the command to type after a usage error: the example, or help."""
    context = getattr(error, "ctx", None)
    if context is None:
        return "camtui --help"
    example = re.search(r"Example: (.+)", context.command.help or "")
    help_ = f"{context.command_path} --help"
    if meant := context.meta.get(_MEANT):
        return f"camtui {meant} --help"
    if (option := _unknown_option(error)) is not None:
        known = [
            name
            for parameter in context.command.get_params(context)
            if not getattr(parameter, "hidden", False)
            for name in parameter.opts
        ]
        return f"{did_you_mean(option, known)}{help_}"
    return (
        f"for example {example[1]}; {help_}"
        if example and error.format_message().startswith("Missing ")
        else help_
    )

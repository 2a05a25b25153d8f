"""The class of every command, its module's Typer application, and a call of one from another.

A module of ``camtui.cli.commands`` has one command:

    app = command_app()

    @app.command(cls=Command)
    def status(run: RunArgument = LAST) -> None: ...
"""

from __future__ import annotations

import gc
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from camtui.cli.help import write_options


def command_app() -> typer.Typer:
    """Return the Typer application of one command: help and errors are plain text."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Command(TyperCommand):
    """A command whose help has its options under the headings that they name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options under their headings."""
        write_options(self.get_params(ctx), ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, which may take days: garbage is collected from here on."""
        _collect_garbage_again()
        return super().invoke(ctx)


def _collect_garbage_again() -> None:
    """Turn the collector on again; objects of the imports stay and are not searched."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def run_command(ctx: typer.Context, name: str, *arguments: str) -> None:
    """Run another command as if it had been typed."""
    root = ctx.find_root()
    group = root.command
    assert isinstance(group, TyperGroup)
    command = group.get_command(root, name)
    assert command is not None, f"no command {name}"
    with command.make_context(name, list(arguments), parent=root) as context:
        command.invoke(context)

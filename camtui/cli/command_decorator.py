"""What makes a function a command of the command line, and how one command runs another."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from camtui.cli.help import Command

COMMANDS: dict[str, CommandInfo] = {}
"""Those whose modules have been imported, by name."""


def command(call: Callable[..., None]) -> Callable[..., None]:
    """Make a function the command of its module.

    A parameter that is a ``NamedTuple`` stands for the options in its fields.
    """
    name = call.__module__.rpartition(".")[2]
    COMMANDS[name] = CommandInfo(name=name, cls=Command, callback=_spread(call))
    return call


def _spread(call: Callable[..., None]) -> Callable[..., None]:
    """The function with its groups of options written out one by one, as Typer reads them."""
    hints = get_type_hints(call, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hasattr(hint, "_field_defaults")}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(call).parameters.items():
        if name not in groups:
            parameters.append(
                parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            )
            continue
        notes, defaults = (
            get_type_hints(groups[name], include_extras=True),
            groups[name]._field_defaults,
        )
        parameters += [
            inspect.Parameter(
                field,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults[field],
                annotation=notes[field],
            )
            for field in groups[name]._fields
        ]

    def spread(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field: values.pop(field) for field in group._fields})
        _collect_garbage_again()
        call(**values)

    spread.__doc__ = call.__doc__
    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # inspect reads it, mypy does not know it
    return spread


def _collect_garbage_again() -> None:
    """From here on a command may run for days.

    What has been imported for it stays, and is not looked through again.
    """
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

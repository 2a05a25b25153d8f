"""The class of every command, its module's Typer application, and a call of one from another.

A module of ``camtui.cli.commands`` has one command:

    app = command_app()

    @app.command(cls=Command)
    def status(run: RunArgument = LAST) -> None: ...

Options that go together are a dataclass, whose fields ``grouped`` gives to Typer one by one.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

COMMAND_PANELS: Mapping[str, tuple[str, ...]] = {
    "Start and steer a run": ("run", "watch", "status", "wait", "stop", "resume", "retry", "logs"),
    "Read its results": ("table", "worst", "errors", "show", "compare", "ranks", "judge"),
    "Publish them": (
        "export",
        "report",
        "figure",
        "image",
        "masked",
        "bundle",
        "verify",
        "reproduce",
    ),
    "Manage the runs": ("ls", "copy", "merge", "rm"),
    "What there is, and this machine": (
        "methods",
        "metrics",
        "backbones",
        "doctor",
        "bench",
        "schema",
    ),
    "Extend camtui": ("new", "check", "synth"),
}
"""Every command stands under one of these headings; a test holds that."""

_PANELS = (
    "Images",
    "Measurement",
    "Protocol",
    "Compute",
    "Clusters",
    "Output",
    "Arguments",
)
_NO_PANEL = "Options"


def write_options(parameters: Iterable[Any], ctx: Any, formatter: Any) -> None:
    """Write arguments, then the options of each heading, in the order of ``_PANELS``.

    Args:
        parameters: of a command, in order; ``rich_help_panel`` is an option's heading.
        ctx, formatter: as Typer hands them to ``format_options``.
    """
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        name, explanation = record
        if parameter.param_type_name == "argument":
            panels.setdefault("Arguments", []).append((parameter.metavar, explanation))
        else:
            panel = parameter.rich_help_panel or _NO_PANEL
            panels.setdefault(panel, []).append((name, explanation))
    for panel in (*_PANELS, _NO_PANEL):  # what belongs nowhere else, --help among it, comes last
        if panel in panels:
            with formatter.section(panel):
                formatter.write_dl(panels[panel])


def write_commands(commands: Iterable[tuple[str, Any]], formatter: Any) -> None:
    """Write the list of commands, task by task.

    Args:
        commands: name and command.
    """
    known = dict(commands)
    width = max(map(len, known), default=0)
    listed = {name for names in COMMAND_PANELS.values() for name in names}
    others = tuple(name for name in known if name not in listed)
    for panel, names in {**COMMAND_PANELS, "Others": others}.items():
        here = [name for name in names if name in known]
        records = [
            (f"{name:<{width}}", known[name].get_short_help_str(formatter.width - 6 - width))
            for name in here
        ]
        if records:
            with formatter.section(panel):
                formatter.write_dl(records)


def _options_of(group: Any) -> dict[str, list[Parameter]]:
    """The options of every field of a group."""
    kinds = get_type_hints(group, include_extras=True)
    return {
        f.name: f.metadata.get("options")
        or [Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=kinds[f.name])]
        for f in fields(group)
    }


def command_app() -> typer.Typer:
    """Return the Typer application of one command: help and errors are plain text."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are dataclasses have an option for each of their fields.

    A field may stand for several, ``field(metadata={"options": [Parameter, …]})``: it gets a
    dictionary of those that are given.

    Example:
        ``grouped(resume)``, of ``def resume(output: OutputOptions, run: RunArgument = LAST)``, is
        for Typer ``def resume(*, detach: … = False, quiet: … = False, run: RunArgument = LAST)``.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    options: list[Parameter] = []
    for name, parameter in signature(function).parameters.items():
        if name in groups:
            options += [option for found in _options_of(groups[name]).values() for option in found]
        else:
            options.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @wraps(function)
    def command(**values: Any) -> None:
        for name, group in groups.items():
            made: dict[str, Any] = {}
            for field, found in _options_of(group).items():
                given = {o.name: one for o in found if (one := values.pop(o.name)) != o.default}
                made |= given if found[0].name == field else {field: given}
            values[name] = group(**made)
        function(**values)

    command.__signature__ = Signature(options)  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {one.name: one.annotation for one in options}
    return command


_ALL = "camtui.help-all"
"""Key in ``ctx.meta``."""


def show_all_help(ctx: typer.Context, wanted: bool) -> None:
    """Callback of ``--help-all``: print the help with every option, and end."""
    if wanted:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


class Command(TyperCommand):
    """A command whose help has its options under the headings that they name.

    Attributes:
        everyday: the options that ``--help`` shows, the others only ``--help-all``; empty where it
            shows every one.
    """

    everyday: frozenset[str] = frozenset()

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options under their headings."""
        every = not self.everyday or ctx.meta.get(_ALL)
        shown = [
            one
            for one in self.get_params(ctx)
            if every or one.param_type_name == "argument" or one.name in self.everyday
        ]
        write_options(shown, ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, which may take days: garbage is collected from here on."""
        from camtui.runs import READ

        _collect_garbage_again()
        with READ:
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

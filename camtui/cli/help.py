"""``--help`` as plain text: commands listed by task, options under headings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COMMAND_PANELS: Mapping[str, tuple[str, ...]] = {
    "Start and steer a run": ("run", "watch", "status", "wait", "stop", "resume", "retry", "logs"),
    "Read its results": ("table", "worst", "errors", "show", "compare", "judge"),
    "Publish them": ("export", "report", "figure", "image"),
    "Manage the runs": ("ls", "copy", "rm"),
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

_PANELS = ("Images", "Measurement", "The run's file", "Protocol", "Compute", "Output", "Arguments")
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

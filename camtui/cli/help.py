"""``--help``: commands listed by task, options under headings, words in place of type names.

Plain text, no rich.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from typer.core import TyperCommand

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

_PLACEHOLDERS = {"int": "N", "float": "X", "path": "FILE", "list": "LIST"}
"""What stands for a value where an option names no word of its own; ``TEXT`` for everything else.
"""

_TYPE = re.compile(r"<(\w+)[^>]*>")


class Command(TyperCommand):
    """A command whose help has its options under the headings that they name.

    ``rich_help_panel``.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then the options of each heading in the order in which the headings first come."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                name, panel = _TYPE.sub("", record[0]).strip(), "Arguments"
            else:
                panel = getattr(parameter, "rich_help_panel", None) or "Options"
                name = _TYPE.sub(_word, record[0])
            panels.setdefault(panel, []).append((name, record[1]))
        if "Options" in panels:  # what belongs nowhere else, --help among it, comes last
            panels["Options"] = panels.pop("Options")
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)


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


def _word(found: re.Match[str]) -> str:
    return _PLACEHOLDERS.get(found[1], "TEXT")

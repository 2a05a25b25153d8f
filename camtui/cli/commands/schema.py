"""``camtui schema``: what the JSON of a command looks like."""

from __future__ import annotations

import sys
from importlib import resources
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from evaluator.errors import NotFound
from evaluator.text import did_you_mean, printable

_ENDING = ".schema.json"


app = command_app()


@app.command(cls=Command)
def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Which; without one: their names, and what each describes."
        ),
    ] = "",
) -> None:
    """Print the JSON Schema of what a command prints.

    Example: camtui schema status
    """
    folder = resources.files("camtui").joinpath("export/schemas")
    files = {
        file.name.removesuffix(_ENDING): file
        for file in folder.iterdir()
        if file.name.endswith(_ENDING)
    }
    if not name:
        import json

        for known in sorted(files):
            print(f"{known:<14} {json.loads(files[known].read_text('utf-8'))['title']}")
        print_message("a schema: camtui schema NAME")
    elif name in files:
        sys.stdout.write(files[name].read_text("utf-8"))
    else:
        known = ", ".join(sorted(files))
        raise NotFound(
            f"no schema '{printable(name, 40)}'", f"{did_you_mean(name, files)}there are {known}"
        )

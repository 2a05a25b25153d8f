"""``camtui schema``: JSON Schemas of what commands print."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_message
from evaluator.errors import NotFound
from evaluator.text import did_you_mean, printable

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
    from camtui.schemas import PAYLOADS, schema_of, title

    if not name:
        for known in PAYLOADS:
            print(f"{known:<14} {title(known)}")
        print_message("a schema: camtui schema NAME")
    elif name in PAYLOADS:
        print(json.dumps(schema_of(name), indent=1))
    else:
        raise NotFound(
            f"no schema '{printable(name, 40)}'",
            f"{did_you_mean(name, PAYLOADS)}there are {', '.join(PAYLOADS)}",
        )

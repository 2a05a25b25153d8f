"""Options of more than one command as annotated types, and groups of those that go together.

``camtui.cli.command.grouped`` makes an option of every field of a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from camtui import completion

RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Name, unique prefix, path to a .db, or @last.",
        autocompletion=completion.runs,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
NamedDataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Where the run's images are, if it was not started here; remembered.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite FILE.")]
DigitsOption = Annotated[
    int,
    typer.Option(
        "--digits", metavar="N", min=0, max=12, help="Behind the point, in table, md and latex."
    ),
]
MaxFailuresOption = Annotated[
    str,
    typer.Option(
        "--max-failures",
        metavar="N|P%",
        rich_help_panel="Compute",
        help="Stop, with exit code 5, above so many failures.",
    ),
]
OnFinishOption = Annotated[
    str,
    typer.Option(
        "--on-finish",
        metavar="CMD",
        rich_help_panel="Output",
        help="Gets a JSON document when the run ends or crashes.",
    ),
]


AllowCodeOption = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        rich_help_panel="Compute",
        help="Run the code that the run or the plan file names, from now on.",
    ),
]


@dataclass(frozen=True)
class OutputOptions:
    """The options that say how a run that has been started is shown."""

    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            "-d",
            help="Return as soon as the run is under way.",
            rich_help_panel="Output",
        ),
    ] = False
    foreground: Annotated[
        bool,
        typer.Option(
            "--foreground",
            "-F",
            help="Run in this process: for Slurm and systemd.",
            rich_help_panel="Output",
        ),
    ] = False
    no_watch: Annotated[
        bool,
        typer.Option(
            "--no-watch", help="Plain lines instead of the dashboard.", rich_help_panel="Output"
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="No progress lines, only the result.", rich_help_panel="Output"
        ),
    ] = False
    json: JsonOption = False


@dataclass(frozen=True)
class TableSelection:
    """The options that say which cells a table shows, in which order and layout."""

    pivot: Annotated[
        str,
        typer.Option(
            metavar="METRIC",
            help="Methods × backbones in one metric.",
            autocompletion=completion.metrics,
        ),
    ] = ""
    long: Annotated[
        bool, typer.Option("--long", help="One row per cell, with mean image ADCC and counts.")
    ] = False
    by: Annotated[
        str,
        typer.Option(
            metavar="class|correct",
            help="Averages by true class, or for right and wrong predictions.",
        ),
    ] = ""
    filter: Annotated[
        str,
        typer.Option(
            "--filter", metavar="EXPR", help="Only these cells: 'backbone=resnet*, adcc>70'."
        ),
    ] = ""
    sort: Annotated[
        str,
        typer.Option(
            metavar="METRIC", help="Best first, by this metric.", autocompletion=completion.metrics
        ),
    ] = ""
    digits: DigitsOption = 2
    ci: Annotated[
        bool,
        typer.Option("--ci", help="Half of the 95 % interval for every metric, not for ADCC only."),
    ] = False

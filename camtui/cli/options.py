"""Options of more than one command as annotated types, and groups of those that go together.

``camtui.cli.command.grouped`` makes an option of every field of a group.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from camtui import completion
from camtui.cli.console import print_message
from evaluator.errors import UsageError

if TYPE_CHECKING:
    from camtui.export import ExportRequest, Progress
    from camtui.format import TableOptions
    from camtui.format.groups import By
    from evaluator.store.reader import RunReader

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
WideOption = Annotated[
    bool, typer.Option("--wide", help="Every column, also where lines get wider than the terminal.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite FILE.")]
DigitsOption = Annotated[
    int,
    typer.Option(
        "--digits",
        metavar="N",
        min=0,
        max=12,
        help="Digits in table, md and latex.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show the plan and what it costs; compute nothing.",
        rich_help_panel="Output",
    ),
]
MaxFailuresOption = Annotated[
    str,
    typer.Option(
        "--max-failures",
        metavar="N|P%",
        rich_help_panel="Clusters",
        help="Stop, with exit code 5, when more images fail.",
    ),
]
OnFinishOption = Annotated[
    str,
    typer.Option(
        "--on-finish",
        metavar="CMD",
        rich_help_panel="Clusters",
        help="Command that gets a JSON document when the run ends or crashes.",
    ),
]


AcceptDataChangesOption = Annotated[
    bool,
    typer.Option(
        "--accept-data-changes",
        rich_help_panel="Images",
        help="Keep the run's images where files were added, removed or changed.",
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
            help="Compute in this process, as Slurm and systemd want it.",
            rich_help_panel="Clusters",
        ),
    ] = False
    no_watch: Annotated[
        bool,
        typer.Option(
            "--no-watch", help="Show plain lines, not the dashboard.", rich_help_panel="Output"
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Show only the result.", rich_help_panel="Output"),
    ] = False
    json: JsonOption = False


@dataclass(frozen=True)
class TableSelection:
    """The options that say which cells a table shows, in which order and layout."""

    pivot: Annotated[
        str,
        typer.Option(
            metavar="METRIC",
            help="Show methods × networks in one metric.",
            autocompletion=completion.metrics,
        ),
    ] = ""
    long: Annotated[
        bool,
        typer.Option(
            "--long",
            help="Show a row for each network and method, with counts.",
        ),
    ] = False
    by: Annotated[
        str,
        typer.Option(
            metavar="class|correct",
            help="Show averages by true class, or for right and wrong predictions.",
        ),
    ] = ""
    filter: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="EXPR",
            help="Show what meets this: 'backbone=resnet*, adcc>70'.",
        ),
    ] = ""
    sort: Annotated[
        str,
        typer.Option(
            metavar="METRIC",
            help="Sort by it, best first.",
            autocompletion=completion.metrics,
        ),
    ] = ""
    digits: DigitsOption = 2
    ci: Annotated[
        bool,
        typer.Option("--ci", help="Show half of the 95 % interval of every metric."),
    ] = False


_ALIASES = {"markdown": "md", "tex": "latex", "text": "plain", "txt": "plain"}


def export_request(
    form: str, selected: TableSelection, *, per_image: bool = False
) -> ExportRequest:
    """Return the request, checked as far as it can be without the run.

    Raises:
        UsageError: two layouts.
    """
    from camtui.export import ExportRequest

    return ExportRequest(
        _ALIASES.get(form, form), _layout(selected), per_image, _options(selected), _by(selected.by)
    )


def _by(text: str) -> By | Literal[""]:
    from camtui.format.groups import BYS
    from evaluator.text import did_you_mean

    for known in BYS:
        if text == known:
            return known
    if text:
        raise UsageError(
            f"--by takes class or correct, not '{text}'",
            f"{did_you_mean(text, BYS)}camtui table RUN --by correct",
        )
    return ""


def _options(selected: TableSelection) -> TableOptions:
    from camtui.format import TableOptions

    return TableOptions(
        digits=selected.digits, ci=selected.ci, filter=selected.filter, sort=selected.sort
    )


def _layout(selected: TableSelection) -> str:
    if selected.pivot and selected.long:
        raise UsageError("--pivot and --long are two layouts", "give one of them")
    if selected.pivot:
        return f"pivot:{selected.pivot}"
    return "long" if selected.long else "blocks"


def to_stdout(reader: RunReader, request: ExportRequest) -> None:
    """Write a request to standard output."""
    from camtui.export import write
    from camtui.export.output import destination

    if request.form == "parquet" and sys.stdout.isatty():
        raise UsageError(
            "parquet is binary, and standard output is a terminal", "add -o FILE.parquet"
        )
    with destination(None) as stream:
        write(reader, request, stream, progress_of(reader))


def progress_of(reader: RunReader) -> Progress:
    """Return a function that prints every few seconds how far a long export has come."""
    from time import monotonic

    from camtui.format import count

    total = sum(summary.n for summary in reader.averages.summaries())
    last = monotonic()

    def tell(rows: int) -> None:
        nonlocal last
        if monotonic() - last >= 2:
            last = monotonic()
            print_message(f"{count(rows)} of {count(total)} rows")

    return tell

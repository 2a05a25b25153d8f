"""Options that more than one command has.

Those that come together are a ``NamedTuple``, which ``command.command`` spreads.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from camtui.cli import completion

if TYPE_CHECKING:
    from camtui.executors import ComputeSettings

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
    int, typer.Option("--digits", min=0, max=12, help="Behind the point, in table, md and latex.")
]
BackbonesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        metavar="LIST",
        rich_help_panel="Measurement",
        help="Repeat, or use commas: camtui backbones.",
        autocompletion=completion.backbones,
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


class ComputeOptions(NamedTuple):
    """Where a run computes."""

    device: Annotated[
        str | None,
        typer.Option(
            help="cpu, cuda (all), cuda:0,cuda:2.  [default: cuda where there is one]",
            rich_help_panel="Compute",
            metavar="cpu|cuda|cuda:N,…",
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            help="Worker processes.  [default: one on each device]",
            rich_help_panel="Compute",
            metavar="N",
        ),
    ] = None
    executor: Annotated[
        str,
        typer.Option(
            help="local: processes of this machine; ray: actors of a Ray cluster.",
            rich_help_panel="Compute",
            metavar="local|ray",
        ),
    ] = "local"
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="Of a cluster to join; without: a Ray of its own.",
            rich_help_panel="Compute",
        ),
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            metavar="F", help="With Ray, a part is enough.  [default: 1]", rich_help_panel="Compute"
        ),
    ] = None

    def chosen(self) -> ComputeSettings:
        """The devices that these words come to.

        Raises:
            UsageError: they contradict each other, or Ray is asked for and not installed.
        """
        from camtui.executors import RayOptions, compute_settings

        return compute_settings(
            self.device,
            self.workers,
            RayOptions(self.executor, self.ray_address, self.gpus_per_worker),
        )


class OutputOptions(NamedTuple):
    """How a run that has been started is shown."""

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


class TableSelection(NamedTuple):
    """Which cells a table shows, in which order and layout."""

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
        str, typer.Option(metavar="EXPR", help="Only these cells: 'backbone=resnet*, adcc>70'.")
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

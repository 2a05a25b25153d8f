"""Options of more than one command as annotated types, and tuples of those that go together."""

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
    int,
    typer.Option(
        "--digits", metavar="N", min=0, max=12, help="Behind the point, in table, md and latex."
    ),
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


DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda (all), cuda:0,cuda:2.  [default: cuda where there is one]",
        rich_help_panel="Compute",
        metavar="cpu|cuda|cuda:N,…",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        help="Worker processes.  [default: one on each device]",
        rich_help_panel="Compute",
        metavar="N",
    ),
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        help="local: processes of this machine; ray: actors of a Ray cluster.",
        rich_help_panel="Compute",
        metavar="local|ray",
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Of a cluster to join; without: a Ray of its own.",
        rich_help_panel="Compute",
    ),
]
GpusPerWorkerOption = Annotated[
    float | None,
    typer.Option(
        metavar="F", help="With Ray, a part is enough.  [default: 1]", rich_help_panel="Compute"
    ),
]


class ComputeOptions(NamedTuple):
    """The options that say on which devices, and by which processes, a run is computed."""

    device: str | None
    workers: int | None
    executor: str
    ray_address: str | None
    gpus_per_worker: float | None

    def settings(self) -> ComputeSettings:
        """Return the devices and workers that these options come to.

        Raises:
            UsageError: they contradict each other, or Ray is asked for and not installed.
        """
        from camtui.executors import RayOptions, compute_settings

        ray = RayOptions(self.executor, self.ray_address, self.gpus_per_worker)
        return compute_settings(self.device, self.workers, ray)


DetachOption = Annotated[
    bool,
    typer.Option(
        "--detach",
        "-d",
        help="Return as soon as the run is under way.",
        rich_help_panel="Output",
    ),
]
ForegroundOption = Annotated[
    bool,
    typer.Option(
        "--foreground",
        "-F",
        help="Run in this process: for Slurm and systemd.",
        rich_help_panel="Output",
    ),
]
NoWatchOption = Annotated[
    bool,
    typer.Option(
        "--no-watch", help="Plain lines instead of the dashboard.", rich_help_panel="Output"
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No progress lines, only the result.", rich_help_panel="Output"
    ),
]


class OutputOptions(NamedTuple):
    """The options that say how a run that has been started is shown."""

    detach: bool
    foreground: bool
    no_watch: bool
    quiet: bool
    json: bool


PivotOption = Annotated[
    str,
    typer.Option(
        metavar="METRIC",
        help="Methods × backbones in one metric.",
        autocompletion=completion.metrics,
    ),
]
LongOption = Annotated[
    bool, typer.Option("--long", help="One row per cell, with mean image ADCC and counts.")
]
ByOption = Annotated[
    str,
    typer.Option(
        metavar="class|correct",
        help="Averages by true class, or for right and wrong predictions.",
    ),
]
CellFilterOption = Annotated[
    str,
    typer.Option("--filter", metavar="EXPR", help="Only these cells: 'backbone=resnet*, adcc>70'."),
]
SortOption = Annotated[
    str,
    typer.Option(
        metavar="METRIC", help="Best first, by this metric.", autocompletion=completion.metrics
    ),
]
IntervalsOption = Annotated[
    bool,
    typer.Option("--ci", help="Half of the 95 % interval for every metric, not for ADCC only."),
]


class TableSelection(NamedTuple):
    """The options that say which cells a table shows, in which order and layout."""

    pivot: str
    long: bool
    by: str
    filter: str
    sort: str
    digits: int
    ci: bool

"""``camtui resume``: go on with a run that has ended before it was complete."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.options import (
    AllowCodeOption,
    ComputeOptions,
    DetachOption,
    DeviceOption,
    ExecutorOption,
    ForegroundOption,
    GpusPerWorkerOption,
    JsonOption,
    MaxFailuresOption,
    NoWatchOption,
    OnFinishOption,
    OutputOptions,
    QuietOption,
    RayAddressOption,
    RunArgument,
    WorkersOption,
)
from camtui.cli.run_start import driver_settings, start_run, stored_request
from camtui.runs import LAST, find_run

app = command_app()


@app.command(cls=Command)
def resume(
    ctx: typer.Context,
    device: DeviceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    ray_address: RayAddressOption = None,
    gpus_per_worker: GpusPerWorkerOption = None,
    detach: DetachOption = False,
    foreground: ForegroundOption = False,
    no_watch: NoWatchOption = False,
    quiet: QuietOption = False,
    json: JsonOption = False,
    run: RunArgument = LAST,
    max_failures: MaxFailuresOption = "",
    on_finish: OnFinishOption = "",
    allow_code: AllowCodeOption = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the cells that --drop-decided left unfinished.")
    ] = False,
) -> None:
    """Go on with a run that was stopped, has failed or crashed.

    Only what is missing is computed.

    Example: camtui resume val --detach
    """
    compute = ComputeOptions(device, workers, executor, ray_address, gpus_per_worker)
    output = OutputOptions(
        detach=detach, foreground=foreground, no_watch=no_watch, quiet=quiet, json=json
    )
    settings = driver_settings(compute.settings(), max_failures=max_failures, on_finish=on_finish)
    request = stored_request(
        find_run(run), settings, allow_code=allow_code, finish_dropped=everything
    )
    start_run(ctx, request, output)

"""``camtui retry``: try the images again that have failed."""

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
    NoWatchOption,
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
def retry(
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
    failed: Annotated[
        bool,
        typer.Option(
            "--failed", help="The images that have failed (there is nothing else to retry)."
        ),
    ] = True,
    allow_code: AllowCodeOption = False,
) -> None:
    """Try the images again that have failed.

    Of use once what was wrong with them is mended.

    Example: camtui retry val --failed
    """
    compute = ComputeOptions(device, workers, executor, ray_address, gpus_per_worker)
    output = OutputOptions(
        detach=detach, foreground=foreground, no_watch=no_watch, quiet=quiet, json=json
    )
    settings = driver_settings(compute.settings())
    start_run(
        ctx,
        stored_request(
            find_run(run), settings, command="retry", allow_code=allow_code, retry_failed=failed
        ),
        output,
    )

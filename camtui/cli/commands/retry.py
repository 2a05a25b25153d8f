"""``camtui retry``: try the images again that have failed."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command import Command, command_app, grouped
from camtui.cli.options import (
    AcceptDataChangesOption,
    AllowCodeOption,
    OutputOptions,
    RunArgument,
)
from camtui.cli.run_start import driver_settings, start_run, stored_request
from camtui.compute import ComputeOptions
from camtui.runs import LAST, find_run

app = command_app()


@app.command(cls=Command)
@grouped
def retry(
    compute: ComputeOptions,
    output: OutputOptions,
    run: RunArgument = LAST,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed", hidden=True, help="As earlier versions had it: nothing else can be retried."
        ),
    ] = True,
    allow_code: AllowCodeOption = False,
    accept_data_changes: AcceptDataChangesOption = False,
) -> None:
    """Try the images again that have failed.

    Of use once what was wrong with them is mended.

    Example: camtui retry val
    """
    settings = driver_settings(compute)
    request, stored = stored_request(
        find_run(run),
        settings,
        command="retry",
        allow_code=allow_code,
        retry_failed=failed,
        accept_data_changes=accept_data_changes,
    )
    start_run(request, stored, output)

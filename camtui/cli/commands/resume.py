"""``camtui resume``: go on with a run that has ended before it was complete."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command import Command, command_app, grouped
from camtui.cli.options import (
    AcceptDataChangesOption,
    AllowCodeOption,
    MaxFailuresOption,
    OnFinishOption,
    OutputOptions,
    RunArgument,
)
from camtui.cli.run_start import driver_settings, show_complete, start_run, stored_request
from camtui.compute import ComputeOptions
from camtui.runs import LAST, find_run

app = command_app()


@app.command(cls=Command)
@grouped
def resume(
    ctx: typer.Context,
    compute: ComputeOptions,
    output: OutputOptions,
    run: RunArgument = LAST,
    max_failures: MaxFailuresOption = "",
    on_finish: OnFinishOption = "",
    allow_code: AllowCodeOption = False,
    accept_data_changes: AcceptDataChangesOption = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the methods that decided:drop left unfinished.")
    ] = False,
) -> None:
    """Go on with a run that was stopped, has failed or crashed.

    Only what is missing is computed.

    Example: camtui resume val --detach
    """
    settings = driver_settings(compute, max_failures=max_failures, on_finish=on_finish)
    request, stored = stored_request(
        find_run(run),
        settings,
        allow_code=allow_code,
        finish_dropped=everything,
        accept_data_changes=accept_data_changes,
    )
    if not show_complete(ctx, request, stored, output):
        start_run(request, stored, output)

"""``camtui retry``: try the images again that have failed."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.command_decorator import command
from camtui.cli.options import AllowCodeOption, ComputeOptions, OutputOptions, RunArgument
from camtui.cli.run_start import driver_settings, start_run, stored_request
from camtui.runs import LAST, find_run


@command
def retry(
    ctx: typer.Context,
    where: ComputeOptions,
    shown: OutputOptions,
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
    settings = driver_settings(where.chosen())
    start_run(
        ctx,
        stored_request(
            find_run(run), settings, command="retry", allow_code=allow_code, retry_failed=failed
        ),
        shown,
    )

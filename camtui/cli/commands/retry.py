"""``camtui retry``: try the images again that have failed."""

from __future__ import annotations

from typing import Annotated

import typer

from camtui.cli.beginning import begin, driver_settings, stored_run
from camtui.cli.command_decorator import command
from camtui.cli.options import AllowCodeOption, RunArgument, Shown, Where
from camtui.runs import LAST, find_run


@command
def retry(
    ctx: typer.Context,
    where: Where,
    shown: Shown,
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
    begin(
        ctx,
        stored_run(
            find_run(run), settings, verb="retry", allow_code=allow_code, retry_failed=failed
        ),
        shown,
    )

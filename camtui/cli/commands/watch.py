"""``camtui watch``: the dashboard."""

from __future__ import annotations

import sys
from typing import Annotated, get_args

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import has_screen, is_unicode
from camtui.cli.options import NamedDataOption, RunArgument
from camtui.runs import name_folder
from evaluator.errors import NotFound, UsageError
from evaluator.text import did_you_mean

_IMAGES = ("quadrants", "half", "kitty", "sixel", "off")


app = command_app()


@app.command(cls=Command)
def watch(
    run: RunArgument = "@last",
    cell: Annotated[
        str,
        typer.Option(metavar="NETWORK/METHOD", help="Open this method on this network at once."),
    ] = "",
    image: Annotated[
        str,
        typer.Option(
            metavar="ID", help="Open this image at once: its number or a part of its path."
        ),
    ] = "",
    interval: Annotated[
        float,
        typer.Option(metavar="X", min=0.1, max=3600, help="Seconds between two looks at the run."),
    ] = 1.0,
    readonly: Annotated[
        bool, typer.Option("--readonly", help="No key stops, resumes or writes anything.")
    ] = False,
    ascii_: Annotated[bool, typer.Option("--ascii", help="ASCII characters only.")] = False,
    low_bandwidth: Annotated[
        bool, typer.Option("--low-bandwidth", help="For slow lines: one look in five seconds.")
    ] = False,
    images: Annotated[
        str, typer.Option(metavar="quadrants|half|kitty|sixel|off", help="How images are drawn.")
    ] = "quadrants",
    theme: Annotated[
        str,
        typer.Option(
            metavar="dark|light|NAME",
            help="Colours.  [default: as chosen last, else by the terminal's background]",
        ),
    ] = "",
    no_mouse: Annotated[
        bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")
    ] = False,
    data: NamedDataOption = None,
) -> None:
    """Open the dashboard of a run. Leaving it never stops the run.

    Where input, output or errors go elsewhere than to a terminal: one plain line per change until
    the run ends.

    Example: camtui watch val --low-bandwidth
    """
    if images not in _IMAGES:
        raise UsageError(
            f"--images takes {', '.join(_IMAGES)}, not '{images}'",
            f"{did_you_mean(images, _IMAGES)}--images half works in every terminal and font",
        )
    name_folder(data)
    if not has_screen():
        _plain(run)
    from camtui.runs import LAST, find_run
    from camtui.tui.app import Dashboard
    from camtui.tui.theme import Images, Settings, theme_named

    try:
        path = find_run(run)
    except NotFound:
        if run != LAST:
            raise
        path = None  # no run yet: the first screen says how to begin
    chosen = next(choice for choice in get_args(Images) if choice == images)
    settings = Settings(
        interval=max(interval, 5.0) if low_bandwidth else interval,
        cell=cell,
        image=image,
        readonly=readonly,
        ascii=ascii_ or not is_unicode(sys.stderr),
        low_bandwidth=low_bandwidth,
        images=chosen,
        theme=theme_named(theme),
    )
    dashboard = Dashboard(path, settings)
    code = dashboard.run(mouse=not no_mouse)
    if dashboard.exit_message:
        typer.echo(dashboard.exit_message, err=True)
    raise typer.Exit(code or 0)


def _plain(run: str) -> None:
    """One line per change, for pipes and logs; ends with the run's exit code."""
    from camtui.cli.progress_lines import follow
    from camtui.runs import find_run

    raise typer.Exit(follow(find_run(run)).exit_code)

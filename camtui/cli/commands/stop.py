"""``camtui stop``: ask the driver of a run to end, or end it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from camtui import completion
from camtui.cli.command import Command, command_app
from camtui.cli.console import confirm, print_message
from camtui.cli.options import YesOption
from camtui.runs import find_run, list_runs, reference
from camtui.status import status_in
from evaluator.errors import NotFound, TryAgain
from evaluator.store.files import lock_holder
from evaluator.text import printable

LiveArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="Default: the one that is running.", autocompletion=completion.runs
    ),
]

_NOW_SECONDS = 10.0
"""A driver that ``stop --now`` has not ended by then is killed; nothing that was committed is lost
by it.
"""


app = command_app()


@app.command(cls=Command)
def stop(
    run: LiveArgument = None,
    now: Annotated[
        bool, typer.Option("--now", help="Do not finish what is being computed.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Stop a run; what is in flight is finished and kept.

    Resume it whenever you like.

    Example: camtui stop val
    """
    path = _live_run(run)
    if (
        now
        and not yes
        and os.isatty(0)
        and not confirm(f"End {path.stem} now and lose what is being computed?", yes)
    ):
        raise typer.Exit(130)
    pid = _signal_holder(path, now=now)
    if pid is None:
        print_message(f"{printable(path.stem)} is not running; {status_in(path).advice}")
        return
    print_message(
        f"stopping {printable(path.stem)}, pid {pid}"
        + ("" if now else ": finishing what is being computed")
    )
    limit = time.monotonic() + _NOW_SECONDS
    while lock_holder(path) == pid:
        if now and time.monotonic() > limit:
            _kill_group(path, pid)
        time.sleep(0.05)
    found = status_in(path)
    print_message(f"{found.run}: {found.state}; {found.advice}")


def _live_run(ref: str | None) -> Path:
    """Return the run that is named, or the only one that is under way."""
    if ref is not None:
        return find_run(ref)
    live = [path for path in list_runs() if lock_holder(path) is not None]
    if len(live) == 1:
        return live[0]
    names = ", ".join(printable(path.stem) for path in live)
    why = f"{len(live)} runs are under way: {names}" if live else "no run is under way"
    raise NotFound(why, "name the run: camtui stop RUN" if live else "camtui ls")


def _signal_holder(path: Path, *, now: bool) -> int | None:
    """Signal the driver through a descriptor of its process, so that no other is ever hit."""
    pid = lock_holder(path)
    if pid is None:
        return None
    if pid <= 0:  # what the kernel says of a process that has no number here
        raise TryAgain(
            f"{printable(path.stem)} is running in another container, whose processes are not "
            "visible from here",
            f"type it there: camtui stop {reference(path)}",
        )
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        if lock_holder(path) != pid:
            return None
        for number in (signal.SIGTERM, signal.SIGINT) if now else (signal.SIGTERM,):
            signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return None
    except PermissionError as error:
        raise TryAgain(
            f"pid {pid} belongs to another user",
            f"ask its owner to type camtui stop {reference(path)}",
        ) from error
    finally:
        os.close(process)
    return pid


def _kill_group(path: Path, pid: int) -> None:
    with suppress(ProcessLookupError):
        if lock_holder(path) == pid:
            os.kill(pid, signal.SIGKILL)

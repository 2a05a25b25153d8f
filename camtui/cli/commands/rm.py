"""``camtui rm``: remove a run."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import confirm, print_message
from camtui.cli.options import RunArgument, YesOption
from camtui.runs import find_run, reference, runs_home
from evaluator.errors import CamtuiError, StoreError, TryAgain
from evaluator.store.files import RunLock, beside, is_run, known_log, log_path, real
from evaluator.store.reader import RunReader
from evaluator.text import counted, printable

app = command_app()


@app.command(cls=Command)
def rm(
    run: RunArgument,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone", "-b", metavar="NAME", help="Take only this network out of the run."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", metavar="NAME", help="Take only this method out of the run."
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Remove a run, or a network or method of it with its rows.

    Of a run as a whole its file goes, and the log that it has written, nothing else. Asks first,
    and says what goes.

    Example: camtui rm val --backbone resnet50
    """
    path = find_run(run)
    _refuse_what_is_no_run(path)
    if backbone or method:
        _remove_part(path, tuple(backbone or ()), tuple(method or ()), yes=yes)
        return
    if not confirm(f"Remove {path}?", yes):
        raise typer.Exit(130)
    try:
        lock = RunLock(path)
    except TryAgain as error:
        raise TryAgain(
            f"{printable(path.stem)} is {error.message}", f"camtui stop {reference(path)}"
        ) from error
    log = log_path(path)
    owned = _own_log(path) == printable(log.name)
    for file in (real(path), beside(path, "-wal"), beside(path, "-shm"), *([log] if owned else ())):
        file.unlink(missing_ok=True)
    lock.release(remove=True)
    if path.is_symlink():
        path.unlink()
    print_message(f"removed {printable(path)}")
    left = known_log(path) if not owned else log
    if os.path.lexists(left):
        print_message(f"left {printable(left)}: the run did not say that it is its own")


def _remove_part(
    path: Path, backbones: tuple[str, ...], methods: tuple[str, ...], *, yes: bool
) -> None:
    from evaluator.store.removal import part_of, remove_part

    with RunReader(path) as reader:
        part = part_of(reader, backbones=backbones, methods=methods)
    names = ", ".join(map(printable, (*backbones, *methods)))
    what = f"{names} from {printable(path.stem)}: {counted(part.rows, 'row')}"
    if not confirm(f"Remove {what}?", yes):
        raise typer.Exit(130)
    try:
        remove_part(path, backbones=backbones, methods=methods)
    except TryAgain as error:
        raise TryAgain(
            f"{printable(path.stem)} is {error.message}", f"camtui stop {reference(path)}"
        ) from error
    print_message(f"removed {what}")


def _refuse_what_is_no_run(path: Path) -> None:
    """Refuse a file that is no run of camtui; an empty one may go, if it lies among the runs.

    Raises:
        StoreError: it is something else.
    """
    if not is_run(path) and (path.parent != runs_home() or path.stat().st_size):
        raise StoreError(f"{printable(path)} is not a run of camtui", "camtui ls lists the runs")


def _own_log(path: Path) -> str:
    """The name of the log that the run's file says is its own, empty where it cannot be asked."""
    try:
        with RunReader(path) as reader:
            return reader.own_log()
    except (CamtuiError, sqlite3.Error):
        return ""

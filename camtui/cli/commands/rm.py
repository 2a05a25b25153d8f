"""``camtui rm``: remove a run."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import typer

from camtui.cli.command_decorator import command
from camtui.cli.console import confirm, narrate
from camtui.cli.options import RunArgument, YesOption
from camtui.runs import find_run, reference, runs_home
from evaluator.errors import CamtuiError, StoreError, TryAgain
from evaluator.store.files import beside, is_run, known_log, log_path, real
from evaluator.store.lock import RunLock
from evaluator.store.reader import RunReader
from evaluator.text import printable


@command
def rm(run: RunArgument, yes: YesOption = False) -> None:
    """Remove a run: its file, the log that it has written, nothing else.

    Example: camtui rm val
    """
    path = find_run(run)
    _refuse_what_is_no_run(path)
    if not confirm(f"Remove {path}?", yes):
        raise typer.Exit(130)
    try:
        lock = RunLock(path)
    except TryAgain as error:
        raise TryAgain(f"{printable(path.stem)} is {error.message}", f"camtui stop {reference(path)}") from error
    log = log_path(path)
    owned = _own_log(path) == printable(log.name)
    for file in (real(path), beside(path, "-wal"), beside(path, "-shm"), *([log] if owned else ())):
        file.unlink(missing_ok=True)
    lock.release(remove=True)
    if path.is_symlink():
        path.unlink()
    narrate(f"removed {printable(path)}")
    left = known_log(path) if not owned else log
    if os.path.lexists(left):
        narrate(f"left {printable(left)}: the run did not say that it is its own")


def _refuse_what_is_no_run(path: Path) -> None:
    """Refuse a file that does not begin like a run of ours; one without any bytes may go, if it lies among the runs.

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

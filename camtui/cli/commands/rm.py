"""``camtui rm``: remove a run."""

from __future__ import annotations

import typer

from camtui.cli.command_decorator import command
from camtui.cli.console import confirm, narrate
from camtui.cli.options import RunArgument, YesOption
from camtui.runs import find_run, reference
from evaluator.errors import TryAgain
from evaluator.execution.request import log_path
from evaluator.store.lock import RunLock
from evaluator.text import printable


@command
def rm(run: RunArgument, yes: YesOption = False) -> None:
    """Remove a run: its file, its log, nothing else.

    Example: camtui rm val
    """
    path = find_run(run)
    if not confirm(f"Remove {path}?", yes):
        raise typer.Exit(130)
    try:
        lock = RunLock(path)
    except TryAgain as error:
        raise TryAgain(f"{printable(path.stem)} is {error.message}", f"camtui stop {reference(path)}") from error
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")), log_path(path)):
        file.unlink(missing_ok=True)
    lock.release(remove=True)
    narrate(f"removed {printable(path)}")

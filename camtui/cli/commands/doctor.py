"""``camtui doctor``: what this machine has, and whether a run's file is whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from camtui.cli import completion
from camtui.cli.command_decorator import command
from camtui.cli.console import narrate, print_json
from camtui.cli.options import JsonOption
from evaluator.backbones import torch_checkpoints
from evaluator.text import printable


@command
def doctor(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run to check; without one: this machine.", autocompletion=completion.runs),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild the run's sums from its rows.")] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine, or a run's file against its own rows.

    Of a file: SQLite's own check, and every sum, recomputed from the rows.

    Example: camtui doctor val --repair
    """
    if run is None:
        facts = _environment()
        if json:
            print_json(facts)
        else:
            for name, value in facts.items():
                print(f"{name:<12} {printable(value)}")
        return
    from camtui.runs import find_run

    problems = _examine(find_run(run), repair=repair)
    if json:
        print_json({"run": run, "problems": problems})
    for problem in problems if not json else ():
        print(printable(problem))
    if problems:
        narrate("hint:  camtui doctor RUN --repair rebuilds sums from rows" if not repair else "not all of it could be repaired")
        raise typer.Exit(1)
    narrate("the file is whole, and every sum is that of its rows")


def _examine(path: Path, *, repair: bool) -> list[str]:
    from evaluator.store.audit import audit
    from evaluator.store.audit import repair as rebuild
    from evaluator.store.reader import RunReader

    if repair:
        rebuild(path)
    with RunReader(path) as reader:
        return audit(reader)


def _environment() -> dict[str, str]:
    from camtui.devices import count_gpus
    from camtui.launch import logind_warning
    from camtui.runs import runs_home
    from camtui.versions import versions
    from evaluator.store.filesystem import MOUNTS, file_system

    home = runs_home()
    return {
        **versions(),
        "interpreter": sys.executable,
        "cpu": f"{len(os.sched_getaffinity(0))} cores",
        "gpus": str(count_gpus()),
        "runs": f"{home} ({file_system(home, MOUNTS) or 'unknown file system'})",
        "weights": str(torch_checkpoints()),
        "terminal": os.environ.get("TERM", "none"),
        "logout": logind_warning() or "runs go on",
    }

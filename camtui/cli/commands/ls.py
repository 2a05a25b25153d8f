"""``camtui ls``: the runs there are."""

from __future__ import annotations

import os
import time
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import JsonOption
from camtui.runs import last_started, list_runs
from camtui.status import RunStatus, status_in
from evaluator.errors import CamtuiError, NotFound
from evaluator.store.files import why_unreadable
from evaluator.store.readonly import DAMAGE
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import ListedRunPayload, RunsPayload


app = command_app()


@app.command(cls=Command)
def ls(
    json: JsonOption = False,
    every: Annotated[bool, typer.Option("--all", help="Not only the newest.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", help="How many.")] = 20,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="EXPR",
            help="'state=crashed', 'run=val*', 'failures>0', or a word of the name.",
        ),
    ] = "",
) -> None:
    """List the runs, the one started last first.

    Example: camtui ls --filter 'state=crashed'
    """
    paths = list_runs()
    most = len(paths) if every else max(0, limit)
    found = _matching(paths, filter_) if filter_ else [_listed(path) for path in paths[:most]]
    hidden = (len(found) if filter_ else len(paths)) - most
    if json:
        payload: RunsPayload = {"runs": found[:most], "truncated": hidden > 0}
        print_json(payload)
    elif not found:
        print_message("there is no run yet: camtui run --demo")
    else:
        _print_runs(found[:most])
        if hidden > 0:
            print_message(f"{hidden} more: camtui ls --all")


def _matching(paths: list[Path], expression: str) -> list[ListedRunPayload]:
    """The runs that meet every term.

    Raises:
        NotFound: none does.
    """
    from camtui.format.terms import Grammar

    grammar: Grammar[ListedRunPayload] = Grammar(
        texts={"run": itemgetter("run"), "state": itemgetter("state")},
        numbers={
            "images": itemgetter("images"),
            "failures": itemgetter("failures"),
            "progress": _percent,
        },
        words=itemgetter("run"),
        example="for example --filter 'state=crashed' or 'run=val*, failures>0'",
    )
    found = list(filter(grammar.test(expression), map(_listed, paths)))
    if not found:
        raise NotFound(f"no run matches '{printable(expression, 60)}'", "camtui ls shows every run")
    return found


def _percent(run: ListedRunPayload) -> float | None:
    return None if run["progress"] is None else 100 * run["progress"]


def _print_runs(runs: list[ListedRunPayload]) -> None:
    from camtui.format.numbers import count

    width = max(4, *(len(run["run"]) for run in runs))
    print(f"{'RUN':<{width}}  {'STATE':<10} {'DONE':>6}  {'IMAGES':>8}  {'FAILURES':>8}  STARTED")
    for run in runs:
        if run["state"] == "unreadable":
            print(f"{run['run']:<{width}}  unreadable ({_why(run)})")
            continue
        done = f"{run['progress']:>6.1%}" if run["progress"] is not None else " " * 6
        counts = f"{count(run['images'] or 0):>8}  {count(run['failures'] or 0):>8}"
        print(f"{run['run']:<{width}}  {run['state']:<10} {done}  {counts}  {run['started'] or ''}")


def _why(run: ListedRunPayload) -> str:
    """Why a run cannot be read, in a few words."""
    path = Path(run["db"])
    told = run["message"].replace(f"{printable(path)} ", "").removeprefix("is ")
    return why_unreadable(path) or printable(told, 70)


def _listed(path: Path) -> ListedRunPayload:
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(last_started(path)))
    found: RunStatus | None = None
    try:
        found = status_in(path)
        message = found.message
    except CamtuiError as error:
        message = printable(error.message)
    except (OSError, *DAMAGE) as error:
        message = printable(error, 200)
    return {
        "run": printable(path.stem),
        "db": os.fsdecode(path),
        "state": found.state if found else "unreadable",
        "message": message,
        "progress": round(found.progress, 6) if found else None,
        "images": found.images if found else None,
        "failures": found.failures if found else None,
        "started": started,
    }

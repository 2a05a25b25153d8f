"""``camtui logs``: the log of a run's driver and workers, each line safe to print."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_message
from camtui.cli.options import JsonOption, RunArgument
from camtui.launch import last_lines
from camtui.runs import LAST, find_run
from evaluator.errors import UsageError
from evaluator.records import Event
from evaluator.store.files import known_log, lock_holder, open_to_read
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from camtui.payloads import EventLevel, EventPayload


_LEVELS = ("info", "warning", "error")
_POLL_SECONDS = 0.25


app = command_app()


@app.command(cls=Command)
def logs(
    run: RunArgument = LAST,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
    tail: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many lines of what is there.")
    ] = 200,
    level: Annotated[
        str, typer.Option(metavar="info|warning|error", help="Only events of this level or worse.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Show what a run's driver and workers wrote.

    With --level or --json the run's events, which are fewer; as JSON one record on each line.

    Example: camtui logs val --follow --level warning
    """
    path = find_run(run)
    if level or json:
        _show_events(path, level or "info", tail, follow=follow, as_json=json)
    else:
        _show_log(path, tail, follow=follow)


def _show_log(path: Path, tail: int, *, follow: bool) -> None:
    """Print the last lines of a run's log; with ``follow`` also those to come.

    A run in the foreground has events only.
    """
    log = open_to_read(known_log(path))
    if log is None:
        print_message(f"no log beside {printable(path)}: these are the run's events")
        _show_events(path, "info", tail, follow=follow)
        return
    with open(log, "rb") as stream:
        for line in last_lines(stream, tail):
            print(printable(line), flush=True)
        unfinished = b""
        while follow:
            follow = (
                lock_holder(path) is not None
            )  # asked first: what was written before the end is still read
            *lines, unfinished = (unfinished + stream.read()).split(b"\n")
            for whole in lines if follow or not unfinished else [*lines, unfinished]:
                print(printable(whole.decode("utf-8", "replace")), flush=True)
            time.sleep(_POLL_SECONDS if follow else 0)


def _show_events(path: Path, level: str, tail: int, *, follow: bool, as_json: bool = False) -> None:
    """Print a run's events of a level or graver."""
    if level not in _LEVELS:
        raise UsageError(
            f"--level takes info, warning or error, not '{printable(level)}'",
            f"{did_you_mean(level, _LEVELS)}for example --level warning",
        )
    for event in _events(path, tail, follow=follow):
        if event.level in _LEVELS and _LEVELS.index(event.level) < _LEVELS.index(level):
            continue
        if as_json:
            payload: EventPayload = {
                "time": event.time,
                "level": cast("EventLevel", event.level),  # as stored
                "text": event.text,
            }
            print_json(payload)
        else:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
            print(f"{when} {printable(event.level):<7} {printable(event.text)}", flush=True)


def _events(path: Path, tail: int, *, follow: bool) -> Iterator[Event]:
    """The last events, and with ``follow`` those to come until the run ends."""
    from evaluator.store.reader import RunReader

    last = 0
    with RunReader(path) as reader:
        while True:
            alive = lock_holder(path) is not None
            for event in reader.events(last, tail if not last else 1000):
                last = event.id
                yield event
            if not follow or not alive:
                return
            time.sleep(_POLL_SECONDS)

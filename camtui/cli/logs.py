"""What ``camtui logs`` prints: a log file or a run's events, once or until the run ends; every line made safe to print."""

from __future__ import annotations

import time
from pathlib import Path

from camtui.cli.app import narrate
from camtui.launch import tail as tail_of
from evaluator.errors import UsageError
from evaluator.execution.request import log_path
from evaluator.store.lock import lock_holder
from evaluator.text import did_you_mean, printable

_LEVELS = ("info", "warning", "error")
_POLL_SECONDS = 0.25


def show_log(path: Path, tail: int, *, follow: bool) -> None:
    """Print the last lines of a run's log; with ``follow`` also those to come. A run in the foreground has events only."""
    log = log_path(path)
    if not log.exists():
        narrate(f"no log beside {printable(path)}: these are the run's events")
        show_events(path, "info", tail, follow=follow)
        return
    for line in tail_of(log, tail):
        print(printable(line))
    if not follow:
        return
    with open(log, "rb") as stream:
        stream.seek(0, 2)
        while True:
            alive = lock_holder(path) is not None
            for line in stream.read().decode("utf-8", "replace").splitlines():
                print(printable(line), flush=True)
            if not alive:
                return
            time.sleep(_POLL_SECONDS)


def show_events(path: Path, level: str, tail: int, *, follow: bool) -> None:
    """Print a run's events of a level or graver."""
    if level not in _LEVELS:
        raise UsageError(f"--level takes info, warning or error, not '{printable(level)}'", did_you_mean(level, _LEVELS))
    from evaluator.store.reader import RunReader

    last = 0
    with RunReader(path) as reader:
        while True:
            alive = lock_holder(path) is not None
            for event in reader.events(last, tail if not last else 1000):
                last = event.id
                if _LEVELS.index(event.level) >= _LEVELS.index(level):
                    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
                    print(f"{when} {event.level:<7} {printable(event.text)}", flush=True)
            if not follow or not alive:
                return
            time.sleep(_POLL_SECONDS)

"""A run in plain lines on standard error, one for each change, until it ends."""

from __future__ import annotations

import time
from pathlib import Path

from camtui.cli.console import print_message
from camtui.format.numbers import count, duration, rate
from camtui.format.terms import percent_done, time_left
from camtui.runs import reference
from camtui.status import RunStatus, read_status
from evaluator.store.files import lock_holder
from evaluator.store.reader import RunReader

LINE_SECONDS = 5.0
"""Between two lines that differ in numbers only."""

_POLL_SECONDS = 0.25
_CLOSING_SECONDS = 15.0


def follow(path: Path, *, quiet: bool = False) -> RunStatus:
    """Print what changes until the run has ended, and return how it ended.

    Raises:
        KeyboardInterrupt: Ctrl-C; the run goes on.
    """
    with RunReader(path) as reader:
        last = max((event.id for event in reader.events(limit=1)), default=0)
        printed: RunStatus | None = None
        printed_at = 0.0
        while True:
            status = read_status(reader, path)
            if not quiet:
                last = _print_troubles(reader, last)
                if _worth_a_line(printed, status, time.monotonic() - printed_at):
                    print_message(status_line(status))
                    printed, printed_at = status, time.monotonic()
            if not status.live:
                _wait_until_closed(path)
                return status
            time.sleep(_POLL_SECONDS)


def _print_troubles(reader: RunReader, after: int) -> int:
    """Print warnings and errors that are new, and return the newest event's id."""
    for event in reader.events(after):
        if event.level != "info":
            print_message(f"{event.level}: {event.text}")
        after = event.id
    return after


def _worth_a_line(printed: RunStatus | None, status: RunStatus, seconds: float) -> bool:
    if printed is None or (printed.state, printed.stage) != (status.state, status.stage):
        return True
    return seconds >= LINE_SECONDS and (printed.done, printed.failures) != (
        status.done,
        status.failures,
    )


def status_line(status: RunStatus) -> str:
    """Return the run in one line: state, stage, images, rate, time left."""
    parts = [f"{status.run}: {status.state}"]
    if not status.live:
        parts.append(f"{count(status.images)} images in {duration(status.elapsed_seconds)}")
    elif status.stage:
        parts.append(f"stage {status.stage_number}/{status.stages} {status.stage}")
        parts.append(f"{count(status.done)}/{count(status.total)} images")
        if status.images_per_second:
            parts.append(rate(status.images_per_second))
        parts.append(f"{percent_done(status)}{time_left(status)}")
    else:
        parts += [_between_stages(status), status.advice]
    if status.failures:
        run = reference(status.db)
        again = "" if status.live else f", then camtui retry {run}"
        parts.append(f"{status.failed}: camtui errors {run}{again}")
    if status.message:
        parts.append(status.message)
    return " · ".join(parts)


def _between_stages(status: RunStatus) -> str:
    """Return what a live run does while no stage is under way."""
    if status.progress < 1:
        return "loading a network"
    return "everything is measured, the run is being closed"


def _wait_until_closed(path: Path) -> None:
    """Wait until the lock is free, a moment after the last state, for the next command."""
    limit = time.monotonic() + _CLOSING_SECONDS
    while lock_holder(path) is not None and time.monotonic() < limit:
        time.sleep(0.02)

"""The driver process: takes a run's lock, opens its file, computes what is missing.

``python -m evaluator.execution.driver --db PATH --handoff-fd N`` with a ``RunRequest`` on standard
input; started by ``camtui.launch``, or called in the foreground. Never imports torch. One hand-off
line tells the launcher that the run is under way, or why it is not; before that line nothing is
left behind but the log.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from argparse import ArgumentParser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from evaluator.errors import CamtuiError, RunFailed, UsageError
from evaluator.execution.driver_session import Announce, DriverSession, Ending
from evaluator.execution.on_finish import Outcome, tell
from evaluator.execution.request import RunRequest
from evaluator.execution.stopping import StopRequest, signals_to
from evaluator.execution.testing_hooks import crash_point
from evaluator.store.disk_space import full_words, is_full
from evaluator.store.files import beside
from evaluator.store.filesystem import refuse_network
from evaluator.store.lock import RunLock
from evaluator.text import printable


def carry_out(request: RunRequest, announce: Announce) -> int:
    """Carry out a request in this process; returns the exit code.

    Args:
        request: what to do.
        announce: called once with the hand-off: ``{"pid", "name", "db", "log", "labels"}``, or
            ``{"error": {…}}``.
    """
    os.umask(0o077)
    stop = StopRequest()
    with signals_to(stop):
        try:
            ending = _run_under_lock(request, announce, stop)
        except CamtuiError as error:
            announce({"error": error.to_dict()})
            return error.exit_code
        except BaseException as error:
            text, hint = f"{type(error).__name__}: {error}", f"camtui logs {request.run_reference}"
            announce({"error": RunFailed(text, hint).to_dict()})
            raise
        if request.settings.on_finish:
            tell(
                request.settings.on_finish,
                request.db,
                Outcome(ending.state, ending.message, ending.exit_code),
            )
    return ending.exit_code


def _run_under_lock(request: RunRequest, announce: Announce, stop: StopRequest) -> Ending:
    """Take the run's lock, carry the request out, and give the lock back.

    Raises:
        CamtuiError: the run has not begun; a file that was made for it is gone again.
    """
    from evaluator.store.writer import RunWriter  # workers that import this module need it not

    refuse_network(request.db)
    lock = RunLock(request.db)
    known = request.db.exists()
    lock.hold_database()
    crash_point("after-lock")
    session = DriverSession(request, announce, stop, lock, new_file=not known)
    try:
        with ExitStack() as stack:
            writer = RunWriter(request.db)
            stack.callback(writer.close)
            return session.drive(writer, stack)
    except sqlite3.OperationalError as error:
        if is_full(error):
            why = full_words().replace("disk full", "the disk is full", 1)
            raise UsageError(
                f"no room for {printable(request.db)}: {why}", "make room there, or --db PATH"
            ) from error
        raise
    finally:
        gone = not session.began and not known
        if gone:
            _discard(request.db)
        lock.release(remove=gone)


def _discard(database: Path) -> None:
    """Remove a run's file in which nothing was computed."""
    for end in ("", "-wal", "-shm"):
        beside(database, end).unlink(missing_ok=True)


class HandoffPipe:
    """The pipe on which a launcher waits for one line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.set_inheritable(descriptor, False)

    def __call__(self, line: dict[str, Any]) -> None:
        """Write the line; a second one is dropped, and any where the launcher has gone."""
        if self._descriptor is None:
            return
        with suppress(BrokenPipeError):
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        os.close(self._descriptor)
        self._descriptor = None


def main() -> None:
    """Carry out the request on standard input."""
    parser = ArgumentParser(prog="python -m evaluator.execution.driver", description=__doc__)
    parser.add_argument(
        "--db", required=True, help="the run's file; for whoever looks at the list of processes"
    )
    parser.add_argument(
        "--handoff-fd", type=int, required=True, help="descriptor for the hand-off line"
    )
    arguments = parser.parse_args()
    hand_off = HandoffPipe(arguments.handoff_fd)
    request = RunRequest.from_json(sys.stdin.read())
    sys.stdin.close()
    sys.exit(carry_out(request, hand_off))


if __name__ == "__main__":
    main()

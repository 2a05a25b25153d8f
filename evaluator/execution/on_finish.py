"""``--on-finish``: runs a command when a session has ended, with a JSON document as its input.

The driver runs it at the end. For a driver that is killed its watchdog does, a small process that
is started with the run and reads from a pipe, which breaks when the driver dies.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evaluator.errors import CamtuiError
from evaluator.execution.request import RunRequest
from evaluator.execution.run_log import LOGGER
from evaluator.store.reader import RunReader
from evaluator.text import printable


@dataclass(frozen=True)
class Outcome:
    """The end of a session as the command is told: state, message and exit code."""

    state: str
    message: str
    exit_code: int


def tell(command: str, database: Path, outcome: Outcome) -> None:
    """Run the command without a shell, wait for it, and log how it ended."""
    try:
        document = _document(database, outcome)
        done = subprocess.run(shlex.split(command), input=document.encode(), stdout=2, check=False)
        LOGGER.info(f"--on-finish: exit code {done.returncode}")
    except (OSError, ValueError, CamtuiError) as error:
        LOGGER.warning(f"--on-finish: {printable(error)}")


def _document(database: Path, outcome: Outcome) -> str:
    with RunReader(database) as reader:
        info, failures = reader.info(), reader.failure_count()
    return json.dumps(
        {
            "run": info.name,
            "db": printable(database),
            "state": outcome.state,
            "message": outcome.message,
            "exit_code": outcome.exit_code,
            "images": info.image_count,
            "failures": failures,
            "started": info.started,
            "finished": info.finished,
        }
    )


class Watchdog:
    """Runs the command if this process is killed; to be cancelled where the driver runs it."""

    def __init__(self, request: RunRequest) -> None:
        """Start the watchdog of a run that is under way."""
        command = [sys.executable, "-P", "-m", "evaluator.execution.on_finish"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2)
        payload = {
            "db": os.fsencode(request.db).hex(),
            "command": request.settings.on_finish,
            "run_reference": request.run_reference,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(payload).encode() + b"\n")
        self._process.stdin.flush()

    def cancel(self) -> None:
        """End the watchdog, since the driver ends by itself; returns when the process is gone."""
        with suppress(BrokenPipeError):
            self._process.communicate(b"cancelled\n")


def main() -> None:
    """Wait for the end of the driver; run the command if it did not cancel this process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the driver, sent to its whole group
    payload = json.loads(sys.stdin.buffer.readline())
    if sys.stdin.buffer.read():
        return
    LOGGER.error("the driver was killed")
    database = Path(os.fsdecode(bytes.fromhex(payload["db"])))
    tell(
        payload["command"],
        database,
        Outcome("crashed", f"the driver was killed: camtui resume {payload['run_reference']}", 1),
    )


if __name__ == "__main__":
    main()

"""``--on-finish``: a command that gets a JSON document on its standard input when a run has ended, however it ended.

The driver runs it at the end of a session. A driver that is killed cannot: then its guard does, a
small process that is started with the run and reads from a pipe, which breaks when the driver dies.
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
    """How a session of a run ended, as the command is told: a state, why, and the exit code."""

    state: str
    message: str
    exit_code: int


def tell(command: str, database: Path, outcome: Outcome) -> None:
    """Run the command, without a shell, and wait for it.

    What becomes of it is a line in the log.
    """
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
    """Runs the command should this process be killed.

    ``cancel`` it before the driver runs the command itself.
    """

    def __init__(self, request: RunRequest) -> None:
        """Start the guard of a run that is under way."""
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
        """The driver has ended in good order; returns when the guard is gone."""
        with suppress(BrokenPipeError):
            self._process.communicate(b"cancelled\n")


def main() -> None:
    """Wait for the end of the driver; if it ended without a word, run the command in its place."""
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

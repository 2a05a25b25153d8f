"""A process that holds a run's lock, as a driver does, and does nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import signal, sys
from pathlib import Path
from evaluator.store.files import RunLock
if sys.argv[2] == "deaf":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(run: Path, *, deaf: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """The process while it holds the lock of ``run``; a deaf one hears neither SIGINT nor SIGTERM.
    It is killed at the end.
    """
    command = [sys.executable, "-c", HOLD, str(run), "deaf" if deaf else "hears"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder
        finally:
            holder.kill()
            holder.wait()

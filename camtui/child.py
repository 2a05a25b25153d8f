"""The asking side of a child process: one JSON request, JSON lines back.

``evaluator.child.serve`` answers. The terminal's side holds no torch and runs nobody's code: what
needs either is asked of a process that ends with its answers.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from evaluator.errors import CamtuiError
from evaluator.text import printable

_KILLING_SECONDS = 5.0
"""Seconds that a killed process may take to end: one that waits in the kernel for a device is not
waited for."""


class ChildEnded(Exception):
    """The process has ended without an answer, or before all of them.

    Attributes:
        code: its exit code; below 0 the signal that ended it.
        said: the last line on its standard error, else its exit code in words.
    """

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code
        self.said = said

    @property
    def end(self) -> str:
        """``signal 11`` or ``exit code 3``."""
        return f"signal {-self.code}" if self.code < 0 else f"exit code {self.code}"


def ask(
    module: str, request: dict[str, Any], seconds: float | None = None
) -> Iterator[dict[str, Any]]:
    """Start ``python -m MODULE`` with a request at once; yield its answers as they come.

    Args:
        module: ends in ``evaluator.child.serve``.
        request: what JSON can hold.
        seconds: that all of its answers may take, ``None`` for any time.

    Raises:
        CamtuiError: the one that the process has raised.
        ChildEnded: it has died, or answered nothing.
        TimeoutError: it has taken too long, and was killed.
    """
    # a file: a pipe that nobody reads would stop a process that says much
    said = tempfile.TemporaryFile()  # noqa: SIM115 - the answers close it
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(json.dumps(request).encode())
    return _answers(process, said, seconds)


def ask_once(module: str, request: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
    """Return the last answer of ``ask``."""
    return list(ask(module, request, seconds))[-1]


def _answers(
    process: subprocess.Popen[bytes], said: IO[bytes], seconds: float | None
) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    answered = False
    try:
        for line in _lines(process.stdout.fileno(), seconds):
            answer: dict[str, Any] = json.loads(line)
            if "error" in answer and set(answer) == {"error"}:
                raise CamtuiError.from_dict(answer["error"])
            answered = True
            yield answer
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_KILLING_SECONDS)
        process.stdout.close()
        last = _last_line(said)
        said.close()
    if code or not answered:
        raise ChildEnded(code, last or f"exit code {code}")


def _lines(stream: int, seconds: float | None) -> Iterator[bytes]:
    """The whole lines of a pipe as they come, until it is closed.

    Raises:
        TimeoutError: it is still open after so many seconds.
    """
    deadline, rest = None if seconds is None else time.monotonic() + seconds, b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([stream], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(stream, 1 << 16)
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1]) if lines else ""

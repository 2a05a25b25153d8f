"""Processes that commands start: a driver that outlives the terminal, and children that answer."""

from __future__ import annotations

import configparser
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any, BinaryIO, NamedTuple

from evaluator.errors import CamtuiError, RunFailed
from evaluator.execution.request import RunRequest
from evaluator.store.files import open_log, open_to_read
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


def _too_long(_seconds: float) -> None:
    raise TimeoutError


def ask(
    module: str,
    request: dict[str, Any],
    seconds: float | None = None,
    waiting: Callable[[float], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Start ``python -m MODULE`` with a request at once; yield its answers as they come.

    Args:
        module: ends in ``evaluator.child.serve``.
        request: what JSON can hold.
        seconds: that all of its answers may take, ``None`` for any time.
        waiting: called every ``seconds`` instead of an end; what it raises ends the process.

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
    return _answers(process, said, seconds, waiting or _too_long)


def ask_once(module: str, request: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
    """Return the last answer of ``ask``."""
    return list(ask(module, request, seconds))[-1]


def _answers(
    process: subprocess.Popen[bytes],
    said: IO[bytes],
    seconds: float | None,
    waiting: Callable[[float], None],
) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    answered = False
    try:
        for line in _lines(process.stdout.fileno(), seconds, waiting):
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


def _lines(
    stream: int, every: float | None = None, waiting: Callable[[float], None] | None = None
) -> Iterator[bytes]:
    """The whole lines of a pipe as they come, until it is closed.

    Args:
        stream: its descriptor.
        every: seconds between two calls of ``waiting``, ``None`` for no call.
        waiting: gets the seconds since the beginning, and may raise.
    """
    begun, calls, rest = time.monotonic(), 1, b""
    while True:
        passed = time.monotonic() - begun
        left = None if every is None or waiting is None else max(0.0, calls * every - passed)
        if not select.select([stream], [], [], left)[0]:
            assert waiting is not None
            waiting(time.monotonic() - begun)
            calls += 1
            continue
        chunk = os.read(stream, 1 << 16)
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1]) if lines else ""


WAITING_SECONDS = 5.0
"""Seconds between two signs of life while a run is waited for."""

STEPS = ("images", "weights", "worker", "network")
"""What is done before a run is under way, in order; weights are fetched where they are missing."""

LOOK_SECONDS = 0.1
"""Seconds between two looks at whether whoever starts a run still waits for it."""

_CANCEL_SECONDS = 5.0
"""Seconds that a driver may take to give up before its run has begun."""


@dataclass(frozen=True)
class LaunchedRun:
    """A run that is under way, or was complete already.

    Attributes:
        pid: of the driver.
        labels: how many images have a label and how, in words; empty where nothing was loaded.
        remarks: what is to be known about the networks that are loaded, a line each.
    """

    pid: int
    name: str
    db: Path
    log: Path
    labels: str = ""
    remarks: tuple[str, ...] = ()


class Step(NamedTuple):
    """What is being done before a run is under way.

    Attributes:
        step: one of ``STEPS``.
        text: about it, in words.
        share: of it that is done, 0 to 1.
    """

    step: str
    text: str
    share: float = 0.0


class Left(Exception):
    """Whoever has started a run waits no longer; the run begins all the same."""


def launch(
    request: RunRequest,
    found: Callable[[list[str]], None] | None = None,
    waiting: Callable[[float], None] | None = None,
    progress: Callable[[Step], None] | None = None,
    every: float = WAITING_SECONDS,
) -> LaunchedRun:
    """Start the driver of a request, detached, and wait until its run is under way.

    Args:
        request: its plan, where it has one, is validated.
        found: called with what is to be said of the images, a line each, once they are found.
        waiting: called every few seconds with the seconds waited so far.
        progress: called with what is being done.
        every: seconds between two calls of ``waiting``.

    Raises:
        CamtuiError: the run has not begun, and no process is left.
        KeyboardInterrupt: Ctrl-C while waiting; no process is left then either.
        Left: one of the calls has raised it; the driver goes on.
    """
    had_log = os.path.lexists(request.log)
    reading, writing = os.pipe()
    try:
        driver = _start(request, writing)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    answer: dict[str, Any] = {}
    try:
        assert driver.stdin is not None
        with suppress(BrokenPipeError), driver.stdin:
            driver.stdin.write(request.to_json().encode())
        for line in _lines(reading, every, waiting):
            answer = json.loads(line)
            if "progress" in answer and progress:
                progress(Step(**answer["progress"]))
            elif "found" in answer and found:
                found(answer["found"])
            if not answer.keys() & {"progress", "found"}:
                break
    except Left:
        driver.returncode = 0
        raise
    except BaseException:
        _cancel(driver)
        if not had_log and not request.db.exists():
            request.log.unlink(missing_ok=True)
        raise
    finally:
        os.close(reading)
    if "pid" not in answer:
        raise _not_begun(answer, driver.wait(), request, had_log=had_log)
    driver.returncode = (
        0  # it lives on without us: Popen need not warn that nobody has waited for it
    )
    return LaunchedRun(
        answer["pid"],
        answer["name"],
        request.db,
        request.log,
        answer["labels"],
        tuple(answer["remarks"]),
    )


class Start:
    """A run that is started in a thread while a screen says what is being done.

    Attributes:
        request: what is started.
        steps: the latest of each step that was begun, in order; ``since``: when it was begun, on
            the monotonic clock.
        lines: what is to be said of the images and of the networks.
        outcome: the run, or why there is none; ``None`` while it is being started.
    """

    def __init__(self, request: RunRequest, work: Callable[[Start], LaunchedRun]) -> None:
        """Nothing is started yet.

        Args:
            request: what is started.
            work: starts it, in a thread; it calls ``tell`` and ``look`` again and again.
        """
        self.request = request
        self.steps: dict[str, Step] = {}
        self.lines: list[str] = []
        self.since: dict[str, float] = {}
        self.outcome: LaunchedRun | BaseException | None = None
        self._work = work
        self._asked: type[BaseException] | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._work(self)
        except BaseException as error:
            self.outcome = error

    def tell(self, step: Step) -> None:
        """Take note of what is being done."""
        self.since.setdefault(step.step, time.monotonic())
        self.steps[step.step] = step
        self.look()

    def look(self, _seconds: float = 0.0) -> None:
        """Raise what ``leave`` or ``cancel`` has asked for."""
        if self._asked is not None:
            raise self._asked

    def leave(self) -> None:
        """Wait no longer; the run begins all the same. Returns when its driver is on its own."""
        self._ask(Left)

    def cancel(self) -> None:
        """Give the run up. Returns when nothing is left of it, unless it is under way already."""
        self._ask(KeyboardInterrupt)

    def _ask(self, for_what: type[BaseException]) -> None:
        self._asked = self._asked or for_what
        self._thread.join()


def _start(request: RunRequest, handoff: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "evaluator.execution.driver",
        "--db",
        str(request.db),
        "--handoff-fd",
        str(handoff),
    ]
    log = open_log(request.db)
    if not os.fstat(log).st_size:
        with suppress(OSError):  # a disk that is full: the driver says so
            os.write(
                log,
                f"{time.strftime('%Y-%m-%d %H:%M:%S')} info    log of "
                f"{printable(request.db.name)}\n".encode(),
            )
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(handoff,),
            start_new_session=True,
        )
    finally:
        os.close(log)


def _not_begun(
    answer: dict[str, Any], code: int, request: RunRequest, *, had_log: bool
) -> CamtuiError:
    """Return why a run has not begun; its log goes, unless the error points to it."""
    if "error" not in answer:
        end = f"signal {-code}" if code < 0 else f"exit code {code}"
        return RunFailed(
            f"the driver died before the run began ({end}){_last_log_line(request.log)}",
            f"see {printable(request.log)}",
        )
    error = CamtuiError.from_dict(answer["error"])
    if request.db.exists():
        return error
    if error.hint.startswith("camtui logs"):
        last = _last_log_line(request.log)
        said = "" if error.message.endswith(last) else last
        return type(error)(f"{error.message}{said}", f"see {printable(request.log)}")
    if not had_log:
        request.log.unlink(missing_ok=True)
    return error


def _last_log_line(log: Path) -> str:
    lines = [line for line in tail(log, 20) if line.strip()]
    return f": {printable(lines[-1].strip(), 200)}" if lines else ""


def tail(log: Path, count: int) -> list[str]:
    """Return the last lines of a log, at most 64 KiB of it; empty where there is none."""
    descriptor = open_to_read(log)
    if descriptor is None:
        return []
    with open(descriptor, "rb") as stream:
        return last_lines(stream, count)


def last_lines(stream: BinaryIO, count: int) -> list[str]:
    """Return the last lines of a stream, at most 64 KiB of it, which is left at its end."""
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - 65_536))
    lines = stream.read().decode("utf-8", "replace").splitlines()
    return lines[len(lines) - min(count, len(lines)) :]


def _cancel(driver: subprocess.Popen[bytes]) -> None:
    """Ask the driver to give up, then end it and everything that it started."""
    with suppress(ProcessLookupError):
        driver.send_signal(signal.SIGTERM)
    try:
        driver.wait(_CANCEL_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()


def logind_warning(folder: Path = Path("/etc/systemd")) -> str:
    """Return a warning where logging out would kill the driver, empty where it would not."""
    if os.geteuid() == 0 or not _kills_user_processes(folder) or _lingers():
        return ""
    return (
        "logging out will kill this run (KillUserProcesses=yes): allow it to stay with "
        "'loginctl enable-linger', "
        "or start it with 'systemd-run --user --scope camtui run …'"
    )


def _kills_user_processes(folder: Path) -> bool:
    settings = configparser.ConfigParser(strict=False, interpolation=None)
    files = [folder / "logind.conf", *sorted((folder / "logind.conf.d").glob("*.conf"))]
    try:
        settings.read(files, encoding="utf-8")
        return settings.getboolean("Login", "KillUserProcesses", fallback=False)
    except (configparser.Error, ValueError, UnicodeDecodeError):
        return False


def _lingers() -> bool:
    import pwd

    try:
        return (Path("/var/lib/systemd/linger") / pwd.getpwuid(os.geteuid()).pw_name).exists()
    except KeyError:
        return False

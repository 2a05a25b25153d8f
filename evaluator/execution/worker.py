"""A worker process: units come in over one pipe, results go out over the same.

It ends when the pipe does.

Started as a fresh interpreter, ``python -m evaluator.execution.worker DESCRIPTOR``, never by fork:
neither CUDA nor SQLite survives one. Torch is imported by the session alone, after the environment
(device, threads) has been set by whoever started it.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection

from evaluator.errors import CamtuiError, is_out_of_memory, loses_device
from evaluator.execution.checking import checked
from evaluator.execution.run_log import LOGGER
from evaluator.interfaces import (
    Done,
    Error,
    ExecutorEvent,
    Figures,
    OpenSession,
    Ready,
    Session,
    SessionSettings,
    Started,
)
from evaluator.records import Unit, UnitResult

FIGURES_SECONDS = 2.0


def worker_main(
    connection: Connection, worker: int, settings: SessionSettings, dotted_session: str
) -> None:
    """Serve units until the pipe ends.

    Args:
        connection: to the executor; closed by it to end the worker.
        worker: the number to sign messages with.
        settings: for the session.
        dotted_session: ``module:function`` that opens it.
    """
    _ignore_signals()
    outbox = _Outbox(connection)
    with _errors_reported(outbox, worker, unit=0) as ok:
        session = open_session(dotted_session)(settings)
        versions = (
            session.versions()
        )  # the first that asks for the device: a driver that is too old is found here
    if not ok:
        return
    outbox.send(Ready(worker, None, None, versions))
    inbox: queue.Queue[Unit] = queue.Queue()
    threading.Thread(target=_receive, args=(connection, inbox, session), daemon=True).start()
    threading.Thread(target=_report_figures, args=(outbox, worker, session), daemon=True).start()
    position: int | None = None
    while True:
        unit = inbox.get()
        position = _serve(unit, position, session, outbox, worker)


def _serve(
    unit: Unit, position: int | None, session: Session, outbox: _Outbox, worker: int
) -> int | None:
    """Compute one unit; returns the backbone that is loaded afterwards."""
    if unit.backbone != position:
        with _errors_reported(outbox, worker, unit.id, loading=True) as ok:
            loaded = session.load(unit.backbone)
            versions = session.versions()
        if not ok:
            return None
        outbox.send(Ready(worker, unit.backbone, loaded, versions))
    outbox.send(Started(worker, unit.id))
    with _errors_reported(outbox, worker, unit.id):
        outbox.send(Done(worker, unit.id, evaluated(unit, session)))
    return unit.backbone


def evaluated(unit: Unit, session: Session) -> UnitResult:
    """The checked result of a unit whose backbone is loaded; nothing for a unit without images."""
    return checked(unit, session.evaluate(unit)) if unit.images else UnitResult()


_SPINS = "10000"
"""How long a computing thread that has nothing to do looks for work before it sleeps: about a tenth
of a millisecond.

OpenMP's own answer is thirty times that, and lets two runs on the same cores wait for each other:
both took 3.6 times as long as one alone, with this 1.8 times, and one alone takes as long as before
(``benchmarks/sharing.py``).
"""


def open_session(dotted: str) -> OpenSession:
    """The function that ``module:function`` names.

    Torch, which it brings along, leaves the cores to others when it waits.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    module, _, name = dotted.partition(":")
    function: OpenSession = getattr(import_module(module), name)
    return function


def _ignore_signals() -> None:
    """Ctrl-C and hang-ups are the driver's business.

    What libraries print goes to the log, not to standard output.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.dup2(2, 1)


class _Outbox:
    """The sending half of the pipe, shared by two threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, event: ExecutorEvent) -> None:
        try:
            with self._lock:
                self._connection.send(event)
        except OSError:
            os._exit(0)  # the driver is gone: nobody wants the result


def _receive(connection: Connection, inbox: queue.Queue[Unit], session: Session) -> None:
    while True:
        try:
            unit: Unit = connection.recv()
        except (EOFError, OSError):
            os._exit(0)  # a computation that is under way must not outlive its driver
        if unit.images:
            with suppress(Exception):  # what is wrong with a unit is said when it is computed
                session.prefetch(unit)
        inbox.put(unit)


def _report_figures(outbox: _Outbox, worker: int, session: Session) -> None:
    """Figures are for people to look at: a device that has none to give costs nothing but them."""
    pause = threading.Event()
    while not pause.wait(FIGURES_SECONDS):
        try:
            figures = session.figures()
        except Exception:
            LOGGER.exception(f"worker {worker}: the device tells no figures")
            return
        outbox.send(Figures(worker, figures))


class _Success:
    """Whether a block ended without an exception."""

    def __init__(self) -> None:
        self.ok = True

    def __bool__(self) -> bool:
        return self.ok


@contextmanager
def _errors_reported(
    outbox: _Outbox, worker: int, unit: int, *, loading: bool = False
) -> Iterator[_Success]:
    """Whatever is raised within becomes an ``Error`` for the driver to judge.

    The one place where any exception is caught.
    """
    success = _Success()
    try:
        yield success
    except Exception as error:
        success.ok = False
        outbox.send(as_event(error, worker, unit, loading=loading or not unit))


def as_event(error: Exception, worker: int, unit: int, *, loading: bool) -> Error:
    """What was raised, as the driver is told of it.

    What nobody raised on purpose goes to the log with its traceback.
    """
    if isinstance(error, CamtuiError):
        return Error(
            worker, unit, error.kind, error.message, error.hint, error.exit_code, loading, False
        )
    LOGGER.error(f"worker {worker}: an exception in unit {unit}", exc_info=error)
    text = f"{type(error).__name__}: {error}".strip()
    no_memory = is_out_of_memory(error)
    fatal = not no_memory and loses_device(error)
    text = text.splitlines()[0]  # CUDA adds lines of advice; they are in the log
    return Error(
        worker, unit, "out-of-memory" if no_memory else "error", text, "", 1, loading, fatal
    )


def _main() -> None:
    connection = Connection(int(sys.argv[1]))
    worker, settings, dotted_session = connection.recv()
    worker_main(connection, worker, settings, dotted_session)


if __name__ == "__main__":
    _main()

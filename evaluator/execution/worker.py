"""A worker process: receives units and sends results over one pipe, at whose end it exits.

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from math import inf, isfinite, log
from multiprocessing.connection import Connection
from statistics import median

from evaluator.catalog import ROW_METRICS, value_range
from evaluator.errors import CamtuiError, is_out_of_memory, loses_device
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
from evaluator.records import (
    Failure,
    Measurement,
    Precision,
    Row,
    StoredAnswer,
    Unit,
    UnitResult,
)
from evaluator.text import printable

_FRACTIONS = ("y", "o", *ROW_METRICS)
_TOLERANCE = 1e-6


def checked(unit: Unit, result: UnitResult) -> UnitResult:
    """Check a unit's result.

    Returns:
        The result with a failure in place of each value that is not finite or out of its range, and
        for each pair without an answer.
    """
    wrong = [failure for row in result.rows if (failure := _wrong_row(row))]
    wrong += [
        failure
        for measurement in result.measurements
        if (failure := _wrong_measurement(measurement))
    ]
    bad = {(f.cell, f.image, f.metric) for f in wrong}
    rows = tuple(row for row in result.rows if (row.cell, row.image, "") not in bad)
    measurements = tuple(m for m in result.measurements if (m.cell, m.image, m.metric) not in bad)
    answered = bad | {(f.cell, f.image, f.metric) for f in result.failures}
    answered |= {(row.cell, row.image, "") for row in rows} | {
        (m.cell, m.image, m.metric) for m in measurements
    }
    unanswered = [
        Failure(cell, image, metric, *_why_unanswered(unit, cell, image))
        for cell, image, metric in pairs_of(unit)
        if (cell, image, metric) not in answered
    ]
    failures = (*result.failures, *wrong, *unanswered)
    return replace(result, rows=rows, measurements=measurements, failures=failures)


def _why_unanswered(unit: Unit, cell: int, image: int) -> tuple[str, str]:
    """Reason and detail of the failure of a pair without an answer."""
    if unit.metrics and (cell, image) not in unit.maps:
        return (
            "damaged-row",
            "its row is not what was written: camtui doctor RUN --repair, then camtui resume RUN",
        )
    return "no-result", "the evaluator returned nothing for it"


def pairs_of(unit: Unit) -> Iterator[tuple[int, int, str]]:
    """Yield every (cell, image, metric) that a unit must answer; metric ``''`` for rows."""
    for cell in unit.cells:
        for image in unit.images:
            for metric in unit.metrics or ("",):
                yield cell, image.id, metric


def failed(unit: Unit, reason: str, detail: str) -> UnitResult:
    """The unit as failures, all for the same reason."""
    return UnitResult(
        failures=tuple(
            Failure(cell, image, metric, reason, detail) for cell, image, metric in pairs_of(unit)
        )
    )


def _wrong_row(row: Row) -> Failure | None:
    for name in _FRACTIONS:
        value = getattr(row, name)
        if value is not None and (failure := _wrong_value(row.cell, row.image, "", name, value)):
            return failure
    return None


def _wrong_measurement(one: Measurement) -> Failure | None:
    return _wrong_value(
        one.cell, one.image, one.metric, one.metric, one.value, *value_range(one.metric)
    )


def _wrong_value(
    cell: int, image: int, metric: str, name: str, value: float, low: float = 0.0, high: float = 1.0
) -> Failure | None:
    if not isfinite(value):
        return Failure(cell, image, metric, "not-finite", f"{name} is {value}")
    if not low - _TOLERANCE <= value <= high + _TOLERANCE:
        return Failure(
            cell,
            image,
            metric,
            "out-of-range",
            f"{name} is {value:.6g}, not within {low:g} and {high:g}",
        )
    return None


_IMAGES_AGAIN = 2
"""When it loads it again."""

TOLERANCE: Mapping[Precision, float] = {"fp32": 1e-3, "mixed": 1e-3, "bf16": 1.0}
"""Largest distance of an image's answer, as ``distance`` has it.

Batch size, threads and layout move it by up to 1e-5 in float32. Rounding to bfloat16 moves it by up
to 0.3, and each kind of device rounds elsewhere.
"""

_OF_THE_MEDIAN = 0.2
"""Share of the tolerance that the median image may reach: rounding seldom moves half of them."""

_ENOUGH_FOR_A_MEDIAN = 4
_SMALLEST = 1e-12


class AnswerComparison:
    """Compares the answers of a process's networks with the stored ones, once after each load.

    A network may read more than its weights: a configuration file, a library, an environment.

    Args:
        precision: of the plan.
    """

    def __init__(self, precision: Precision) -> None:
        self._precision = precision
        self._compared: set[int] = set()
        self._due = False

    def compare(self, unit: Unit, session: Session, *, loaded: bool) -> str:
        """How the loaded backbone answers otherwise than stored, in words.

        It is asked once it is loaded; again with each unit while none of the images can be read. A
        backbone that this process loads again is shown fewer images: it does so in every round of a
        run of several backbones.

        Args:
            unit: whose answers are compared.
            session: of the process.
            loaded: the backbone has just been loaded.

        Returns:
            Empty where the answers agree, or no image can be compared: a file that is missing or
            has changed says nothing of the network.
        """
        self._due = bool(unit.answers) and (loaded or self._due)
        if not self._due:
            return ""
        most = _IMAGES_AGAIN if unit.backbone in self._compared else len(unit.answers)
        images = {answer.image.id: answer.image for answer in unit.answers}
        confidences = session.confidences(list(images.values())[:most])
        if confidences:
            self._compared.add(unit.backbone)
            self._due = False
        return disagreement(unit.answers, confidences, self._precision)


def disagreement(
    answers: Sequence[StoredAnswer],
    confidences: Mapping[int, Sequence[float]],
    precision: Precision,
) -> str:
    """The image whose answer differs most, with both values; empty within the tolerance.

    Args:
        answers: as stored.
        confidences: of every class, now, by image id; images without are not compared.
    """
    found = [
        (_difference(answer, confidences[answer.image.id]), place)
        for place, answer in enumerate(answers)
        if answer.image.id in confidences
    ]
    if not found:
        return ""
    by_image: dict[int, float] = {}
    for far, place in found:
        image = answers[place].image.id
        by_image[image] = max(far, by_image.get(image, 0.0))
    tolerance = TOLERANCE[precision]
    beyond = sum(far > tolerance for far in by_image.values())
    usual = median(by_image.values()) if len(by_image) >= _ENOUGH_FOR_A_MEDIAN else 0.0
    if not beyond and usual <= _OF_THE_MEDIAN * tolerance:
        return ""
    worst = answers[max(found)[1]]
    others = sum(far > _OF_THE_MEDIAN * tolerance for far in by_image.values()) - 1
    more = f"; so do {others} of {len(by_image) - 1} other images" if others > 0 else ""
    return f"{_words(worst, confidences[worst.image.id])}{more}"


def _difference(answer: StoredAnswer, now: Sequence[float]) -> float:
    """The distance of the confidence in the target, or of the prediction from the highest one."""
    if max(answer.target, answer.predicted) >= len(now):
        return inf
    return max(distance(now[answer.target], answer.y), distance(now[answer.predicted], max(now)))


def distance(now: float, stored: float) -> float:
    """The distance of two confidences: of their log-odds, relative where these are above 1.

    It is about that of the logits, and so as large for a confidence near 0 or 1 as for one between.
    """
    if now != now:  # not a number
        return inf
    here, there = _log_odds(now), _log_odds(stored)
    return abs(here - there) / max(1.0, abs(there))


def _log_odds(confidence: float) -> float:
    inside = min(max(confidence, _SMALLEST), 1 - _SMALLEST)
    return log(inside) - log(1 - inside)


def _words(answer: StoredAnswer, now: Sequence[float]) -> str:
    image = f"image {answer.image.id} ({printable(answer.image.path, 60)})"
    predicted = max(range(len(now)), key=now.__getitem__)
    if answer.target >= len(now):
        return f"{image}: class {answer.target} in the run, only {len(now)} classes now"
    of_target = (
        f"y of class {answer.target} is {answer.y:.6g} in the run, {now[answer.target]:.6g} now"
    )
    if predicted == answer.predicted:
        return f"{image}: {of_target}"
    return f"{image}: {of_target}; class {answer.predicted} was predicted, {predicted} is now"


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
        versions = session.versions()  # asks for the device first: finds a driver that is too old
    if not ok:
        return
    outbox.send(Ready(worker, None, None, versions))
    inbox: queue.Queue[Unit] = queue.Queue()
    threading.Thread(target=_receive, args=(connection, inbox, session), daemon=True).start()
    threading.Thread(target=_report_figures, args=(outbox, worker, session), daemon=True).start()
    position: int | None = None
    comparison = AnswerComparison(settings.plan.precision)
    while True:
        unit = inbox.get()
        position = _serve(unit, position, session, outbox, worker, comparison)


def _serve(
    unit: Unit,
    position: int | None,
    session: Session,
    outbox: _Outbox,
    worker: int,
    comparison: AnswerComparison,
) -> int | None:
    """Compute one unit; returns the backbone that is loaded afterwards."""
    new = unit.backbone != position
    with _errors_reported(outbox, worker, unit.id, loading=True) as ok:
        loaded = session.load(unit.backbone) if new else None
        other = comparison.compare(unit, session, loaded=new)
        if new or other:
            ready = Ready(worker, unit.backbone, loaded, session.versions(), other)
            outbox.send(ready)
    if not ok:
        return None
    outbox.send(Started(worker, unit.id))
    with _errors_reported(outbox, worker, unit.id):
        outbox.send(Done(worker, unit.id, evaluated(unit, session)))
    return unit.backbone


def evaluated(unit: Unit, session: Session) -> UnitResult:
    """The checked result of a unit whose backbone is loaded; nothing for a unit without images."""
    return checked(unit, session.evaluate(unit)) if unit.images else UnitResult()


_SPINS = "10000"
"""Spins of an idle computing thread before it sleeps: about a tenth of a millisecond.

OpenMP's default is thirty times that, and lets two runs on the same cores wait for each other: both
took 3.6 times as long as one alone, with this 1.8 times, and one alone takes as long as before
(``benchmarks/sharing.py``).
"""


def open_session(dotted: str) -> OpenSession:
    """Import the function that ``module:function`` names, and limit the spinning of its threads."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    module, _, name = dotted.partition(":")
    function: OpenSession = getattr(import_module(module), name)
    return function


def _ignore_signals() -> None:
    """Leave Ctrl-C and hang-ups to the driver; what libraries print goes to the log."""
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
    """Send the device's figures again and again; a device without figures costs nothing else."""
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
    """Send any exception that is raised within to the driver as an ``Error``."""
    success = _Success()
    try:
        yield success
    except Exception as error:
        success.ok = False
        outbox.send(as_event(error, worker, unit, loading=loading or not unit))


def as_event(error: Exception, worker: int, unit: int, *, loading: bool) -> Error:
    """An exception as an event for the driver; one that is not camtui's own is logged whole."""
    if isinstance(error, CamtuiError):
        return Error(
            worker,
            unit,
            error.kind,
            error.message,
            hint=error.hint,
            exit_code=error.exit_code,
            loading=loading,
        )
    LOGGER.error(f"worker {worker}: an exception in task {unit}", exc_info=error)
    text = f"{type(error).__name__}: {error}".strip()
    no_memory = is_out_of_memory(error)
    fatal = not no_memory and loses_device(error)
    text = text.splitlines()[0]  # CUDA adds lines of advice; they are in the log
    return Error(
        worker,
        unit,
        "out-of-memory" if no_memory else "error",
        text,
        hint=_OF_ONE_RELEASE if _OTHER_TORCHVISION in text else "",
        loading=loading,
        fatal=fatal,
    )


_OTHER_TORCHVISION = "operator torchvision::"
"""Words of the error of a torchvision that was built for another torch."""

_OF_ONE_RELEASE = "pip install --upgrade torch torchvision"


def _main() -> None:
    connection = Connection(int(sys.argv[1]))
    worker, settings, dotted_session = connection.recv()
    worker_main(connection, worker, settings, dotted_session)


if __name__ == "__main__":
    _main()

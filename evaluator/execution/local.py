"""Workers on this machine: one process per device with one pipe each; those that die or hang are started again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from evaluator.execution.protocol import (
    DeviceFigures,
    Done,
    Error,
    ExecutorEvent,
    Figures,
    Ready,
    SessionSettings,
    Started,
    WorkerLost,
)
from evaluator.records import Unit, WorkerState

QUEUED = 2
"""Units that a worker holds: one is computed while the images of the next are decoded."""

_BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before the n-th restart in a row without a finished unit."""

_GRACE = 3.0
"""Seconds between asking a hanging worker to end and ending it."""


@dataclass
class _Worker:
    """One place for a worker: the process in it changes, the number stays."""

    id: int
    settings: SessionSettings
    process: subprocess.Popen[bytes] | None = None
    connection: Connection | None = None
    units: dict[int, tuple[Unit, Callable[[], float]]] = field(default_factory=dict)
    running: int | None = None
    backbone: int | None = None
    since: float = 0.0
    restart_at: float = 0.0
    restarts: int = 0
    deaths_in_a_row: int = 0
    blame: str = ""
    terminated_at: float | None = None
    ended: bool = False
    figures: DeviceFigures = field(default_factory=DeviceFigures)

    @property
    def state(self) -> str:
        if self.process is None:
            return "ended" if self.ended else "restarting"
        if self.running is not None:
            return "computing"
        return "loading" if self.units or self.backbone is None else "idle"


class LocalExecutor:
    """``execution.protocol.Executor`` over processes of this machine."""

    def __init__(
        self, settings: SessionSettings, devices: Sequence[str], session: str, *, load_seconds: float = 900.0, log: int = 2
    ) -> None:
        """One worker for each entry of ``devices``.

        Args:
            settings: for every worker's session; the device is filled in.
            devices: ``cpu`` or ``cuda:N``; CPU workers share the cores.
            session: ``module:function`` that opens a session in the worker.
            load_seconds: patience with a worker that starts or loads a backbone.
            log: descriptor for everything that the workers print.
        """
        self._session = session
        self._load_seconds = load_seconds
        self._log = log
        self._lost: list[ExecutorEvent] = []
        threads = _threads_each(devices)
        self._workers = [
            _Worker(number, replace(settings, device=device, threads=threads if device == "cpu" else settings.threads))
            for number, device in enumerate(devices, 1)
        ]

    def start(self) -> None:
        """Start the workers."""
        for worker in self._workers:
            self._launch(worker)

    def slots(self) -> int:
        """How many units could be submitted now."""
        return sum(QUEUED - len(worker.units) for worker in self._workers if worker.process)

    def submit(self, unit: Unit, patience: Callable[[], float]) -> None:
        """Hand a unit to the worker that suits it best: its backbone loaded, few units waiting."""
        free = [worker for worker in self._workers if worker.process and len(worker.units) < QUEUED]
        worker = min(free, key=lambda w: (_backbone_after(w) not in (unit.backbone, None), len(w.units), w.id))
        if not worker.units:
            worker.since = time.monotonic()
        worker.units[unit.id] = (unit, patience)
        assert worker.connection is not None
        try:
            worker.connection.send(unit)
        except OSError:
            self._bury(worker)

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        """What has happened; waits at most ``timeout`` seconds for the first event."""
        self._restart_due()
        if self._lost:
            timeout = 0.0
        connections = {worker.connection: worker for worker in self._workers if worker.connection}
        events: list[ExecutorEvent] = []
        for ready in wait(list(connections), timeout):
            assert isinstance(ready, Connection)
            self._receive(connections[ready], events)
        self._end_hanging()
        events += self._lost
        self._lost = []
        return events

    def kill(self, worker: int) -> None:
        """End a worker at once; it is started again and its units come back as ``WorkerLost``."""
        one = self._workers[worker - 1]
        if one.process:
            one.blame = one.blame or "replaced"
            one.process.kill()
            self._bury(one)

    def workers(self) -> Sequence[WorkerState]:
        """Every worker as it is now."""
        return [_state(worker) for worker in self._workers]

    def close(self) -> None:
        """End every worker; returns when none is left."""
        for worker in self._workers:
            if worker.process:
                worker.process.kill()
        for worker in self._workers:
            worker.ended = True
            if worker.process:
                self._clear(worker)

    def _launch(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "evaluator.execution.worker", str(theirs.fileno())]
        environment, device = _environment(worker.settings)
        worker.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(theirs.fileno(),), env=environment
        )
        theirs.close()
        worker.connection = Connection(ours.detach())
        worker.running = worker.backbone = worker.terminated_at = None
        worker.since = time.monotonic()
        worker.blame = ""
        try:
            worker.connection.send((worker.id, replace(worker.settings, device=device), self._session))
        except OSError:
            self._bury(worker)

    def _restart_due(self) -> None:
        for worker in self._workers:
            if worker.process is None and time.monotonic() >= worker.restart_at:
                worker.restarts += 1
                self._launch(worker)

    def _receive(self, worker: _Worker, events: list[ExecutorEvent]) -> None:
        """Every message that has arrived; then the end of the pipe, which is the end of the worker."""
        connection = worker.connection
        assert connection is not None
        try:
            while connection.poll():
                events.append(self._noted(worker, connection.recv()))
        except (EOFError, OSError):
            self._bury(worker)

    def _noted(self, worker: _Worker, event: ExecutorEvent) -> ExecutorEvent:
        """Keep track of what the worker is about."""
        if isinstance(event, Figures):
            worker.figures = event.figures
            return event
        worker.since = time.monotonic()
        if isinstance(event, Ready):
            worker.backbone = event.position
        elif isinstance(event, Started):
            worker.running = event.unit
        elif isinstance(event, Done | Error):
            worker.units.pop(event.unit, None)
            worker.running = None
            worker.deaths_in_a_row = 0 if isinstance(event, Done) else worker.deaths_in_a_row
        return event

    def _end_hanging(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None:
                continue
            if worker.terminated_at is not None:
                if now - worker.terminated_at > _GRACE:
                    worker.process.kill()
            elif now - worker.since > (limit := self._patience(worker)):
                worker.blame = f"no progress for {limit:.0f} s"
                worker.terminated_at = now
                worker.process.terminate()

    def _patience(self, worker: _Worker) -> float:
        if worker.running is not None and worker.running in worker.units:
            return worker.units[worker.running][1]()
        return self._load_seconds if worker.units else float("inf")

    def _bury(self, worker: _Worker) -> None:
        """The process is gone or useless: its units come back, another one is started a little later."""
        units, running = tuple(worker.units), worker.running
        code = self._clear(worker)
        reason = worker.blame or (f"signal {-code}" if code < 0 else f"exit code {code}")
        self._lost.append(WorkerLost(worker.id, reason, running if running in units else None, units))
        worker.restart_at = time.monotonic() + _BACK_OFF[min(worker.deaths_in_a_row, len(_BACK_OFF) - 1)]
        worker.deaths_in_a_row += 1

    def _clear(self, worker: _Worker) -> int:
        """Close the pipe, wait for the process (which ends when the pipe does), and return its exit code."""
        assert worker.process is not None
        assert worker.connection is not None
        worker.connection.close()
        try:
            code = worker.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            code = worker.process.wait()
        worker.process = worker.connection = worker.running = worker.backbone = None
        worker.units.clear()
        return code


def _backbone_after(worker: _Worker) -> int | None:
    """The backbone that is loaded once everything the worker holds is done."""
    last = next(reversed(worker.units.values()), None)
    return last[0].backbone if last else worker.backbone


def _state(worker: _Worker) -> WorkerState:
    pid = worker.process.pid if worker.process else 0
    return WorkerState(
        worker.id, worker.settings.device, pid, worker.state, time.time(), worker.restarts, *worker.figures
    )  # fmt: skip


def _threads_each(devices: Sequence[str]) -> int | None:
    """Computing threads of each CPU worker; ``None``: one worker may use the device's default."""
    on_cpu = sum(device == "cpu" for device in devices)
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // on_cpu) if on_cpu > 1 else None


def _environment(settings: SessionSettings) -> tuple[dict[str, str], str]:
    """The worker's environment, and the name that its device has in it: a worker sees its own GPU and no other."""
    environment: dict[str, Any] = dict(os.environ)
    if settings.threads:
        environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(settings.threads)
    kind, _, number = settings.device.partition(":")
    if kind != "cuda":
        return environment, settings.device
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    listed = [entry.strip() for entry in visible.split(",") if entry.strip()]
    environment["CUDA_VISIBLE_DEVICES"] = listed[int(number or 0)] if listed else number or "0"
    return environment, "cuda:0"

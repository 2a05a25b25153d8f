"""Workers on this machine: one process per device, restarted when it dies or hangs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from evaluator.errors import UsageError
from evaluator.execution.workers import (
    SlotExecutor,
    WorkerSlot,
    another_device,
    best_for,
    share_of,
    visible_gpus,
)
from evaluator.interfaces import Error, ExecutorEvent, LeftOut, SessionSettings, WorkerLost
from evaluator.records import Unit

_GRACE = 3.0
"""Seconds from SIGTERM to SIGKILL of a hanging worker, and from there until it is given up."""

_MOST_GPUS = 1024
"""More than a machine has; whether a GPU exists is checked when the run is requested."""


@dataclass(kw_only=True)
class _Worker(WorkerSlot):
    """A slot for a process of this machine, and the pipe to it."""

    settings: SessionSettings
    process: subprocess.Popen[bytes] | None = None
    connection: Connection | None = None
    terminated_at: float | None = None


class LocalExecutor(SlotExecutor[_Worker]):
    """``interfaces.Executor`` over processes of this machine."""

    def __init__(
        self,
        settings: SessionSettings,
        devices: Sequence[str],
        session: str,
        *,
        load_seconds: float = 900.0,
    ) -> None:
        """One worker for each entry of ``devices``.

        Args:
            settings: for every worker's session; the device is filled in.
            devices: ``cpu`` or ``cuda:N``; the workers share the cores.
            session: ``module:function`` that opens a session in the worker.
            load_seconds: timeout of a worker that starts or loads a backbone.
        """
        self._session = session
        self._load_seconds = load_seconds
        self._lost: list[ExecutorEvent] = []
        # kept, for Python warns of a process that is forgotten while it lives
        self._unkillable: list[subprocess.Popen[bytes]] = []
        cores = len(os.sched_getaffinity(0))
        super().__init__(
            _Worker(
                id=number,
                device=device,
                settings=replace(
                    settings, device=device, **share_of(device, devices, cores)._asdict()
                ),
            )
            for number, device in enumerate(devices, 1)
        )

    def start(self) -> None:
        """Start the workers."""
        for worker in self._workers:
            self._launch(worker)

    def submit(self, unit: Unit, timeout: Callable[[], float]) -> None:
        """Hand a unit to the worker that suits it best: its backbone loaded, few units waiting."""
        worker = best_for(unit, self._workers)
        worker.take(unit, timeout)
        assert worker.connection is not None
        try:
            worker.connection.send(unit)
        except OSError:
            self._reap(worker)

    def poll(self, timeout: float) -> Sequence[ExecutorEvent]:
        """Return the events since the last call; wait at most ``timeout`` seconds for one."""
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
            one.end_reason = one.end_reason or "replaced"
            one.process.kill()
            self._reap(one)

    def close(self) -> None:
        """End every worker; returns when none is left."""
        for worker in self._workers:
            if worker.process:
                worker.process.kill()
        for worker in self._workers:
            worker.ended = True
            if worker.process:
                self._end_of(worker)
                worker.detach()

    def _launch(self, worker: _Worker) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "evaluator.execution.worker", str(theirs.fileno())]
        environment, device = _environment(worker.settings)
        worker.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=2,  # what it prints goes into the run's log
            stderr=2,
            pass_fds=(theirs.fileno(),),
            env=environment,
        )
        theirs.close()
        worker.connection = Connection(ours.detach())
        worker.attach(worker.process.pid)
        worker.terminated_at = None
        try:
            worker.connection.send(
                (worker.id, replace(worker.settings, device=device), self._session)
            )
        except OSError:
            self._reap(worker)

    def _restart_due(self) -> None:
        for worker in self._workers:
            if (
                worker.process is None
                and not worker.ended
                and time.monotonic() >= worker.restart_at
            ):
                worker.restarts += 1
                self._launch(worker)

    def _receive(self, worker: _Worker, events: list[ExecutorEvent]) -> None:
        """Receive every message that has arrived; the end of the pipe is the end of the worker."""
        connection = worker.connection
        assert connection is not None
        try:
            while connection.poll():
                event = worker.track(connection.recv())
                if isinstance(event, Error) and event.unit == 0:
                    self._cannot_start(worker, event)
                    return
                events.append(event)
        except (EOFError, OSError):
            self._reap(worker)

    def _cannot_start(self, worker: _Worker, error: Error) -> None:
        """Leave out a device that cannot be used; without another, its error is the run's."""
        self._end_of(worker)
        units = worker.detach().units
        if error.exit_code != UsageError.exit_code and another_device(worker, self._workers):
            self._leave_out(worker, f"{worker.device} cannot be used: {error.message}", units)
        else:
            worker.ended = True
            self._lost.insert(0, error)  # before any that is left out: it ends the run

    def _leave_out(self, worker: _Worker, reason: str, units: tuple[int, ...]) -> None:
        worker.ended = True
        self._lost.append(LeftOut(worker.id, reason, units))

    def _end_hanging(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None:
                continue
            if worker.terminated_at is not None:
                if now - worker.terminated_at > 2 * _GRACE:
                    self._reap(worker)  # killed, and still there
                elif now - worker.terminated_at > _GRACE:
                    worker.process.kill()
            elif silence := worker.overdue(self._load_seconds):
                worker.end_reason = silence
                worker.terminated_at = now
                worker.process.terminate()

    def _reap(self, worker: _Worker) -> None:
        """Collect a process that is gone or useless, and give its units back.

        Another one is started a little later. The worker is left out instead where its device has
        failed and there is another, and where the process cannot be ended: its GPU does not answer,
        and would not answer a new process either.
        """
        code = self._end_of(worker)
        reason = worker.end_reason or (
            f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        )
        gone = worker.detach()
        if code is None:
            self._leave_out(
                worker,
                f"its process on {worker.device} cannot be ended ({worker.end_reason or 'killed'})",
                gone.units,
            )
        elif worker.device_fails and another_device(worker, self._workers):
            self._leave_out(worker, worker.deaths(reason), gone.units)
        else:
            self._lost.append(WorkerLost(worker.id, reason, gone.running, gone.units))

    def _end_of(self, worker: _Worker) -> int | None:
        """Close the pipe, at which the process ends, and wait for it.

        Returns:
            Its exit code; ``None`` where it still exists although it was killed, as a process does
            that waits for a device in the kernel.
        """
        assert worker.process is not None
        assert worker.connection is not None
        worker.connection.close()
        code: int | None = None
        try:
            code = worker.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            with suppress(subprocess.TimeoutExpired):
                code = worker.process.wait(_GRACE)
        if code is None:
            self._unkillable.append(worker.process)
        worker.process = worker.connection = None
        return code


def _environment(settings: SessionSettings) -> tuple[dict[str, str], str]:
    """The worker's environment, with no GPU but its own, and the device's name in it."""
    environment: dict[str, Any] = dict(os.environ)
    if settings.threads:
        environment["OMP_NUM_THREADS"] = environment["MKL_NUM_THREADS"] = str(settings.threads)
    kind, _, number = settings.device.partition(":")
    if kind != "cuda":
        return environment, settings.device
    visible = visible_gpus(_MOST_GPUS, os.environ.get("CUDA_VISIBLE_DEVICES"))
    place = int(number or 0)
    environment["CUDA_VISIBLE_DEVICES"] = visible[place] if place < len(visible) else str(place)
    return environment, "cuda:0"

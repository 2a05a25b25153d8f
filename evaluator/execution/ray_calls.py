"""Calls to the actors of a Ray cluster, whose answers wait in a queue."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from evaluator.execution.ray_actor import CONCURRENT
from evaluator.execution.worker_slot import WorkerSlot

_CONCURRENT_CALLS = ("prefetch", "figures")


@dataclass(kw_only=True)
class RayWorkerSlot(WorkerSlot):
    """A slot for an actor's process.

    Attributes:
        actor: Ray's handle, which outlives its process.
        node: Ray's id of the node that the process is or was on.
        epoch: number of the process; answers to calls of an earlier one are ignored.
        locating: asked where it is, no answer yet.
        former: ``(node, pid)`` of the process that was ended, which may still answer for a moment.
        tries: attempts in a row at which its node could not do the work.
        asked: monotonic time of the last call for its figures.
    """

    actor: Any
    node: str = ""
    epoch: int = 0
    locating: bool = False
    former: tuple[str, int] = ("", 0)
    tries: int = 0
    asked: float = 0.0


class Answer(NamedTuple):
    """The answer to a call: a future, and the method that takes its result.

    Attributes:
        concurrent: of a call that does not wait for a computation.
    """

    worker: RayWorkerSlot
    epoch: int
    then: Callable[[RayWorkerSlot, Any], None]
    future: Future[Any]
    concurrent: bool


class ActorCalls:
    """Calls that are under way, and the answers that have come."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def call(
        self,
        worker: RayWorkerSlot,
        then: Callable[[RayWorkerSlot, Any], None],
        method: str,
        *arguments: Any,
    ) -> None:
        """Call a method of the worker's actor; ``then`` takes what it returns."""
        epoch, concurrent = worker.epoch, method in _CONCURRENT_CALLS
        function = getattr(worker.actor, method)
        if concurrent:
            function = function.options(concurrency_group=CONCURRENT)
        future = function.remote(*arguments).future()
        future.add_done_callback(
            lambda done: self._answers.put(Answer(worker, epoch, then, done, concurrent))
        )

    def answers(self, timeout: float) -> Iterator[Answer]:
        """Yield every answer that has come; wait at most ``timeout`` seconds for the first."""
        with suppress(queue.Empty):
            yield self._answers.get(timeout=timeout) if timeout > 0 else self._answers.get_nowait()
            while True:
                yield self._answers.get_nowait()

"""Requests to stop by signals: one for a graceful end, a second one to end at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """The signals so far, which ask for a graceful end or for an end at once."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    @property
    def gracefully(self) -> bool:
        """Whether to finish the units in flight and to begin nothing new."""
        return bool(self.signals)

    @property
    def at_once(self) -> bool:
        """Whether to end now; units in flight are computed again another time."""
        return len(self.signals) > 1

    def __call__(self, number: int, _frame: FrameType | None = None) -> None:
        """Handle a signal."""
        self.signals.append(number)


@contextmanager
def signals_to(stop: StopRequest) -> Iterator[None]:
    """Let SIGTERM and SIGINT ask for an end, and ignore the hang-up of a terminal."""
    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    former[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)

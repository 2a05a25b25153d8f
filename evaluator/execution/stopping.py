"""How a driver is asked to end: by signals, once for a graceful end, twice for one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """What signals have asked for: nothing, a graceful end, or an end at once."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    @property
    def gracefully(self) -> bool:
        """Finish the units in flight, begin nothing new."""
        return bool(self.signals)

    @property
    def at_once(self) -> bool:
        """End now: what is in flight is computed again another time."""
        return len(self.signals) > 1

    def __call__(self, number: int, _frame: FrameType | None = None) -> None:
        """A signal has arrived."""
        self.signals.append(number)


@contextmanager
def signals_to(stop: StopRequest) -> Iterator[None]:
    """SIGTERM and SIGINT ask for an end; a hang-up of the terminal is nothing to a run."""
    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    former[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)

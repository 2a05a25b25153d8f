"""Progress of a run as text for a line."""

from __future__ import annotations

import math

from camtui.format.numbers import duration
from camtui.status import RunStatus


def percent_done(status: RunStatus, digits: int = 0) -> str:
    """Return the progress in percent, rounded down: ``100%`` only where nothing is left.

    A stage may cost no forwards, so that all are done before its images are.
    """
    scale = 10**digits
    steps = math.floor(100 * scale * status.progress + 1e-6)
    if status.stage:
        steps = min(steps, 100 * scale - 1)
    return f"{steps / scale:.{digits}f}%"


def time_left(status: RunStatus) -> str:
    """Return ``, 12s left``; empty where it is not known, or less than a second."""
    return "" if status.eta is None or status.eta < 1 else f", {duration(status.eta)} left"

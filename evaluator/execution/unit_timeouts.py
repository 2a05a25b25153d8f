"""Timeouts of units, after which a worker is taken to hang."""

from __future__ import annotations

from collections.abc import Mapping

from evaluator.execution.stages import StagePlan
from evaluator.records import Unit, UnitResult

_UNMEASURED = {"cpu": 0.2, "cuda": 0.05}
"""Seconds of a forward before any has been timed."""

_TIMES = 10
"""Multiple of what a unit should take."""

_NEWEST = 0.2
"""Weight of the newest unit in the running average of the seconds of a forward."""


class UnitTimeouts:
    """Timeouts of units, by the running average of the seconds that a forward takes."""

    def __init__(
        self, stages: Mapping[int, StagePlan], least_seconds: float, *, cuda: bool
    ) -> None:
        """Nothing is timed yet.

        Args:
            stages: of the schedule, which replaces some of them later.
            least_seconds: no timeout is shorter.
            cuda: the kind of device.
        """
        self._stages = stages
        self._least_seconds = least_seconds
        self._seconds_per_forward = _UNMEASURED["cuda" if cuda else "cpu"]
        self._timed = False

    def measure(self, result: UnitResult) -> None:
        """Take a finished unit into the average."""
        if not result.forwards:
            return
        measured = result.seconds / result.forwards
        if self._timed:
            measured = (1 - _NEWEST) * self._seconds_per_forward + _NEWEST * measured
        self._seconds_per_forward = measured
        self._timed = True

    def timeout(self, unit: Unit) -> float:
        """Seconds: ten times what the unit should take, and never less than the least."""
        stage = self._stages.get(unit.stage)
        forwards = stage.forwards_per_image * len(unit.images) if stage else 0.0
        return max(self._least_seconds, _TIMES * forwards * self._seconds_per_forward)

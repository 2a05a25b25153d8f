"""Counts a run's failures against ``--max-failures``."""

from __future__ import annotations

from evaluator.errors import ThresholdPassed
from evaluator.execution.request import FailureLimit
from evaluator.records import NO_TRUTH, UnitResult
from evaluator.store.reader import RunReader
from evaluator.text import counted


class FailureCount:
    """Failures of one run so far, those of earlier sessions included."""

    def __init__(self, limit: FailureLimit, reader: RunReader, hint: str) -> None:
        """Begin with the failures that are stored.

        Args:
            limit: how many are allowed.
            reader: of the run.
            hint: the command that lists them.
        """
        self._limit = limit
        self._reader = reader
        self._hint = hint
        self._failures = reader.failure_count()
        self._pairs = 0
        self.exceeded = False
        self.count_pairs()

    def count_pairs(self) -> None:
        """Count the (cell, image) pairs again, since other cells apply now."""
        applicable = sum(cell.applicable for cell in self._reader.cells())
        self._pairs = self._reader.info().image_count * applicable

    def add(self, result: UnitResult) -> None:
        """Count the failures of a unit; an image without truth is none."""
        self._failures += sum(failure.reason != NO_TRUTH for failure in result.failures)
        self.exceeded = self.exceeded or self._limit.passed(self._failures, self._pairs)

    def check_limit(self) -> None:
        """Raise where there are more failures than allowed.

        Raises:
            ThresholdPassed: there are.
        """
        if self.exceeded:
            many = f"{self._failures} failures, above --max-failures {self._limit}"
            raise ThresholdPassed(many, self._hint)

    def check_values(self) -> None:
        """Raise where nothing but failures came of the run.

        Raises:
            ThresholdPassed: there is no value.
        """
        if self._failures and not any(summary.n for summary in self._reader.averages.summaries()):
            nothing = f"nothing could be computed: {counted(self._failures, 'failure')}, no value"
            raise ThresholdPassed(nothing, self._hint)

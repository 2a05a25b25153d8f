"""Counts a run's failures against ``--max-failures``, and finds what has no value at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from evaluator.errors import NO_VALUE, ThresholdPassed
from evaluator.execution.request import FailureLimit
from evaluator.plan import RunPlan
from evaluator.records import NO_TRUTH, Cell, UnitResult
from evaluator.store.reader import RunReader
from evaluator.text import counted


class FailureCount:
    """Failures of one run so far, those of earlier sessions included."""

    def __init__(self, limit: FailureLimit, plan: RunPlan, reader: RunReader, hint: str) -> None:
        """Begin with the failures that are stored.

        Args:
            limit: how many are allowed.
            plan: says what every cell is to have.
            reader: of the run.
            hint: the command that lists them.
        """
        self._limit = limit
        self._plan = plan
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

    def reload(self) -> None:
        """Count what is stored: some failures have been forgotten."""
        self._failures = self._reader.failure_count()

    def check_limit(self) -> None:
        """Raise where there are more failures than allowed.

        Raises:
            ThresholdPassed: there are.
        """
        if self.exceeded:
            many = f"{self._failures} failures, above --max-failures {self._limit}"
            raise ThresholdPassed(many, self._hint)

    def check_values(self) -> None:
        """Raise where a cell, or one of its metrics, has no value in any image.

        Cells that do not apply have none, and a note that says why.

        Raises:
            ThresholdPassed: there is one; the message names it.
        """
        found = list(self._without_value())
        if not found:
            return
        if self._failures and not any(summary.n for summary in self._reader.averages.summaries()):
            nothing = f"nothing could be computed: {counted(self._failures, 'failure')}, no value"
            raise ThresholdPassed(nothing, self._hint)
        more = f", nor in {counted(len(found) - 1, 'other')}" if len(found) > 1 else ""
        raise ThresholdPassed(f"{NO_VALUE}{found[0]}{more}", self._hint)

    def _without_value(self) -> Iterator[str]:
        """Yield the cells and metrics without any value, with the usual reason."""
        summaries = {summary.cell: summary for summary in self._reader.averages.summaries()}
        look = self._reader.look()
        dropped = look.dropped if look else {}
        for cell in self._reader.cells():
            summary = summaries[cell.id]
            name = f"{cell.backbone}/{cell.method}"
            if not cell.applicable:
                continue
            if not summary.n:
                yield f"{name} ({self._usual_reason(cell, '')})"
                continue
            if "adcc" not in summary.means:
                yield f"{name} (ADCC is undefined: the confidence in the target is 0)"
            for metric in self._plan.optional_metrics if cell.id not in dropped else ():
                if metric not in summary.means:
                    yield f"{metric} of {name} ({self._usual_reason(cell, metric)})"

    def _usual_reason(self, cell: Cell, metric: str) -> str:
        """``failed on 20 images: missing``."""
        failures = self._reader.failures(cell.id)
        reasons = Counter(failure.reason for failure in failures if failure.metric == metric)
        if not reasons:
            return "nothing was computed"
        many = counted(sum(reasons.values()), "image")
        return f"failed on {many}: {reasons.most_common(1)[0][0]}"

"""Whether a run's file says the same twice: its pages, and its running sums against the rows that they sum."""

from __future__ import annotations

from pathlib import Path

from evaluator.store.lock import RunLock
from evaluator.store.reader import RunReader
from evaluator.store.sums import sums_of
from evaluator.store.writer import RunWriter


def audit(reader: RunReader) -> list[str]:
    """Everything that is wrong, one line each; nothing as a rule. Reads every row."""
    return [*reader.damage(), *_wrong_sums(reader)]


def _wrong_sums(reader: RunReader) -> list[str]:
    sums, bins = sums_of(reader.every_row(), reader.every_measurement())
    expected = {key: (n, total) for key, (n, total) in sums.items()}
    stored = reader.raw_sums()
    problems = [
        f"cell {cell}: the sum of {' × '.join(filter(None, (a, b)))} is not that of its rows"
        for cell, a, b in sorted({key for key in {*expected, *stored} if expected.get(key) != stored.get(key)})
    ]
    histograms = reader.raw_histograms()
    wrong = {key[:2] for key in {*bins, *histograms} if bins.get(key, 0) != histograms.get(key, 0)}
    return problems + [f"cell {cell}: the histogram of {metric} is not that of its rows" for cell, metric in sorted(wrong)]


def repair(path: Path) -> None:
    """Rebuild sums and histograms from the rows, under the run's lock.

    Raises:
        TryAgain: a driver holds the run.
    """
    lock = RunLock(path)
    try:
        with RunReader(path) as reader:
            writer = RunWriter(path)
            try:
                writer.rebuild_sums(reader.every_row(), reader.every_measurement())
            finally:
                writer.close()
    finally:
        lock.release()

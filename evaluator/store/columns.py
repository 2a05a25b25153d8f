"""The columns of rows and measurements in the order of their records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluator.records import Row

ROW_COLUMNS = (
    "cell_id, image_id, target, predicted, y, o, average_drop, average_increase,"
    " coherency, complexity, adcc, degenerate, map"
)
"""Of a ``Row``, in the table ``results``."""

ROW_WIDTH = len(ROW_COLUMNS.split(","))

MEASUREMENT_COLUMNS = "cell_id, image_id, metric, value, curve"
"""Of a ``Measurement``, in the table ``measurements``."""


def row_of(record: Sequence[Any]) -> Row:
    """The row of a record of ``ROW_COLUMNS``."""
    *values, degenerate, map_ = record
    return Row(*[*values, bool(degenerate), map_])

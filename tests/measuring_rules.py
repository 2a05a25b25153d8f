"""Which metrics ``camtui check`` can try: those that need what every row has stored, and curves."""

from __future__ import annotations

from evaluator.catalog import ROW_METRICS, formula
from evaluator.metrics.base import Metric


def needs_only_stored_rows(key: str, metric: Metric) -> bool:
    """Whether a metric is measured from stored rows or along a curve, and from nothing else."""
    return key not in ROW_METRICS and (metric.curve or hasattr(formula(key), "measure"))
